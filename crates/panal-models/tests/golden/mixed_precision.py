"""How near torch.autocast in bfloat16 comes to single precision: cosines of features and of gradients, in training.

    python mixed_precision.py

torch 2.11, torchvision 0.26, on the CPU; random weights, no dropout, 8 random images of 96 x 80 pixels. Printed numbers are quoted
in tests/classifier.rs.
"""

import copy

import torch
import torchvision

torch.manual_seed(0)
for arch in ["resnet18", "mobilenet_v2", "efficientnet_b0"]:
    net = getattr(torchvision.models, arch)(weights=None).to(memory_format=torch.channels_last)
    setattr(net, "classifier" if hasattr(net, "classifier") else "fc", torch.nn.Identity())
    for module in net.modules():
        if hasattr(module, "stochastic_depth"):
            module.stochastic_depth.p = 0.0
    images = torch.randn(8, 3, 96, 80).to(memory_format=torch.channels_last)
    weights = None
    found = []
    for mixed in (False, True):
        one = copy.deepcopy(net).train()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            features = one(images).float()
        weights = torch.randn_like(features) if weights is None else weights
        (features * weights).sum().backward()
        found.append((features.detach().flatten(), torch.cat([p.grad.flatten() for p in one.parameters()])))
    (single, single_gradient), (mixed, mixed_gradient) = found
    cosine = torch.nn.functional.cosine_similarity
    print(arch, float(cosine(single, mixed, 0)), float(cosine(single_gradient, mixed_gradient, 0)))
