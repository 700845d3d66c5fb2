"""Write grad_cam.json: run `python grad_cam.py` with torch 2.11.0, torchvision 0.26.0 and numpy.

Grad-CAM (Selvaraju et al., arXiv 1610.02391, equations 1 and 2) the usual way: a hook keeps the output of the last block and
another the gradient that reaches it. Networks, weights and images are those of networks.py, in float64.
"""

import json
import pathlib

import torch

from networks import ARCHS, CLASSES, numbers, prepared

WANTED = ["resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "resnet10_w24"]


def last_block(net):
    return net.features if hasattr(net, "features") else net.layer4


def record(arch):
    net, images = prepared(arch)
    net.eval()
    kept = {}

    def keep(module, inputs, output):
        kept["maps"] = output
        output.register_hook(lambda gradient: kept.update(gradient=gradient))

    last_block(net).register_forward_hook(keep)
    images.requires_grad_(True)
    cams = []
    for image in images.split(1):
        for klass in range(CLASSES):
            net(image)[0, klass].backward()
            alpha = kept["gradient"].mean(dim=(2, 3), keepdim=True)
            cams.append(torch.relu((alpha * kept["maps"]).sum(dim=1))[0].detach())
    cams = torch.stack(cams)
    # Image by image, class by class.
    return {"arch": arch, "size": list(cams.shape), "maps": numbers(cams.flatten().tolist())}


if __name__ == "__main__":
    assert set(WANTED) <= set(ARCHS)
    lines = [json.dumps(record(arch), separators=(",", ":")) for arch in WANTED]
    pathlib.Path(__file__).with_name("grad_cam.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
