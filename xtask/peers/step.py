"""Images a second of a torchvision network in channels-last, eager or compiled, and the memory it took at most.

    python step.py ARCH train|eval BATCH STEPS eager|compile|reduce-overhead [cpu|cuda] [f32|bf16]

Random weights, random pixels; fused SGD with momentum and cross entropy in training, no_grad in evaluation. The median of STEPS steps
after two (compiled: three) that are not timed. reduce-overhead is torch.compile's mode of that name, which plays CUDA graphs. bf16 is
torch.autocast; on a GPU the memory is the GPU's.
"""

import resource
import sys
import time

import torch
import torchvision

arch, mode, batch, steps, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
device, precision = (sys.argv[6:] + ["cpu", "f32"][len(sys.argv) - 6 :])[:2]
torch.manual_seed(0)
net = getattr(torchvision.models, arch)(weights=None, num_classes=2).to(device, memory_format=torch.channels_last)
net.train(mode == "train")
images = torch.randn(batch, 3, 224, 224, device=device).to(memory_format=torch.channels_last)
labels = torch.zeros(batch, dtype=torch.long, device=device)
optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, fused=True)
modes = {"compile": "default", "reduce-overhead": "reduce-overhead"}
forward = torch.compile(net, mode=modes[how]) if how in modes else net
mixed = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")


def step():
    if mode == "eval":
        with torch.no_grad(), mixed:
            return forward(images)
    optimizer.zero_grad()
    with mixed:
        loss = torch.nn.functional.cross_entropy(forward(images), labels)
    loss.backward()
    optimizer.step()
    return loss


seconds = []
warm_up = 2 if how == "eager" else 3
for _ in range(warm_up + steps):
    start = time.time()
    step().sum().item()
    seconds.append(time.time() - start)
timed = sorted(seconds[warm_up:])
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if device == "cpu" else torch.cuda.max_memory_reserved()
print(f"{how} {batch / timed[len(timed) // 2]:.2f} img/s")
print(f"{how} memory {used / 1e6:.1f} MB")
