"""Write cross_entropy.json: run `python cross_entropy.py` with torch 2.11.0."""

import json
import pathlib

import torch

torch.set_num_threads(1)
ROWS, CLASSES = 5, 7

generator = torch.Generator().manual_seed(0)
ordinary = torch.randn(ROWS, CLASSES, generator=generator) * 2
huge = ordinary * 1e4  # exp() of these overflows: only a stable log-softmax survives
labels = torch.tensor([0, 6, 3, 3, 1])

cases = []
for name, logits in [("ordinary", ordinary), ("huge", huge)]:
    for smoothing in [0.0, 0.1, 1.0]:
        x = logits.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(x, labels, label_smoothing=smoothing)
        loss.backward()
        cases.append(
            dict(
                name=name,
                smoothing=smoothing,
                logits=logits.tolist(),
                labels=labels.tolist(),
                loss=loss.item(),
                gradient=x.grad.tolist(),
            )
        )

out = pathlib.Path(__file__).with_name("cross_entropy.json")
out.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
