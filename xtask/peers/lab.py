"""Rows of the ants/bees lab in plain PyTorch: python lab.py --data hymenoptera_data --weights mobilenet_v2.safetensors --rows ROW ... [--seeds N]

MobileNetV2 with the settings of panal's preset `tutorial`, on images that a DataLoader of 2 workers reads as a script would; --channels-last is its
fastest form on a CPU. For each row and seed a JSON line: macro averages of the last epoch over all validation images, and the seconds of
training and evaluation.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

FULL, HEAD = True, False
# From which weights, whether images are augmented, and for how many epochs what is trained.
ROWS = {
    "full fine-tuning, transfer": ("imagenet", False, [(8, FULL)]),
    "full fine-tuning, random init": ("random", False, [(8, FULL)]),
    "linear probing": ("imagenet", False, [(8, HEAD)]),
    "linear probing + 3 augmentations": ("imagenet", True, [(8, HEAD)]),
    "linear probing 5 + fine-tuning 3": ("imagenet", False, [(5, HEAD), (3, FULL)]),
}


def images(folder, augmented, batch, shuffle):
    if augmented:
        draw = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ColorJitter(0.2, 0.2, 0.2)]
    else:
        draw = [transforms.Resize(256), transforms.CenterCrop(224)]
    end = [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    data = ImageFolder(folder, transforms.Compose(draw + end))
    return DataLoader(data, batch_size=batch, shuffle=shuffle, num_workers=2, persistent_workers=True)


def evaluate(net, loader, layout):
    net.eval()
    with torch.no_grad():
        answers = [(net(pixels.to(memory_format=layout)).argmax(1), labels) for pixels, labels in loader]
    return (torch.cat(column) for column in zip(*answers))


def run(row, seed, data, weights, layout):
    init, augmented, phases = ROWS[row]
    torch.manual_seed(seed)
    train = images(Path(data, "train"), augmented, 16, shuffle=True)
    val = images(Path(data, "val"), False, 32, shuffle=False)
    net = models.mobilenet_v2()
    if init == "imagenet":
        net.load_state_dict(load_file(weights))
    head = nn.Linear(net.last_channel, 2)
    net.classifier[1] = head
    net = net.to(memory_format=layout)

    start = time.time()
    for epochs, full in phases:
        net.requires_grad_(full)
        head.requires_grad_(True)
        optimizer = optim.SGD((p for p in net.parameters() if p.requires_grad), lr=1e-3, momentum=0.9)
        schedule = optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
        for _ in range(epochs):
            net.train(full)
            head.train()
            for pixels, labels in train:
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(pixels.to(memory_format=layout)), labels).backward()
                optimizer.step()
            schedule.step()
            answers, labels = evaluate(net, val, layout)
    seconds = time.time() - start

    precision, recall, f1, _ = precision_recall_fscore_support(labels, answers, average="macro", zero_division=0)
    scores = {"precision": precision, "recall": recall, "f1": f1, "accuracy": accuracy_score(labels, answers)}
    scores = {name: round(float(score), 4) for name, score in scores.items()}
    return {"row": row, "seed": seed, **scores, "images": len(labels), "seconds": round(seconds, 1)}


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--data", required=True)
    cli.add_argument("--weights", required=True)
    cli.add_argument("--rows", nargs="+", choices=list(ROWS), required=True)
    cli.add_argument("--seeds", type=int, default=1)
    cli.add_argument("--channels-last", action="store_true")
    asked = cli.parse_args()
    layout = torch.channels_last if asked.channels_last else torch.contiguous_format
    for row in asked.rows:
        for seed in range(asked.seeds):
            print(json.dumps(run(row, seed, asked.data, asked.weights, layout)), flush=True)
