"""Write mirror.json: `python mirror.py mobilenet_v2-imagenet1k.safetensors`, with torch 2.11.0 and torchvision 0.26.0.

The logits of torchvision's MobileNetV2, in float64, with the real ImageNet weights on two drawn images.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torchvision
from networks import numbers, uniforms
from safetensors.torch import load_file

torch.set_num_threads(1)
SHAPE = (2, 3, 160, 192)

net = torchvision.models.mobilenet_v2()
net.load_state_dict(load_file(sys.argv[1]))
images = torch.from_numpy((np.sqrt(3.0) * uniforms("images", SHAPE)).astype(np.float32)).double()
with torch.no_grad():
    logits = net.double().eval()(images)
golden = {"shape": SHAPE, "logits": numbers(logits.flatten().tolist())}
pathlib.Path(__file__).with_name("mirror.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
