"""Images a second of torchvision's transforms behind a DataLoader of 2 workers, from files: python pipeline.py hymenoptera_data

On PIL images, and on tensors by torchvision's own decoder and its transforms v2. Of SimCLR, an image is two views. The median of
three shuffled passes counts: the first starts the workers.
"""

import sys
import time
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as v1
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

FILES = sorted(Path(sys.argv[1], "train").glob("*/*.jp*g"))
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def on_pil(*operations):
    return v1.Compose([*operations, v1.ToTensor(), v1.Normalize(MEAN, STD)])


def on_tensors(*operations):
    return v2.Compose([*operations, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])


def supervised(t):
    return [t.RandomResizedCrop(224), t.RandomHorizontalFlip()]


def simclr(t):
    jitter = t.ColorJitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2)
    blur = t.GaussianBlur(kernel_size=23)
    return [*supervised(t), t.RandomApply([jitter], p=0.8), t.RandomGrayscale(p=0.2), t.RandomApply([blur], p=0.5)]


class Photographs(Dataset):
    def __init__(self, transform, views=1, tensors=False):
        self.transform, self.views, self.tensors = transform, views, tensors

    def __len__(self):
        return len(FILES)

    def __getitem__(self, index):
        if self.tensors:
            image = decode_image(str(FILES[index]), mode=ImageReadMode.RGB)
        else:
            image = Image.open(FILES[index]).convert("RGB")
        return torch.stack([self.transform(image) for _ in range(self.views)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, images in {
        "eval pil": Photographs(on_pil(v1.Resize(256), v1.CenterCrop(224))),
        "sup pil": Photographs(on_pil(*supervised(v1))),
        "sup v2 tensor": Photographs(on_tensors(*supervised(v2)), tensors=True),
        "simclr2 pil": Photographs(on_pil(*simclr(v1)), views=2),
        "simclr2 v2 tensor": Photographs(on_tensors(*simclr(v2)), views=2, tensors=True),
    }.items():
        loader = DataLoader(images, batch_size=32, shuffle=True, num_workers=2, persistent_workers=True)
        rates = []
        for _ in range(3):
            start = time.time()
            done = sum(len(batch) for batch in loader)
            rates.append(done / (time.time() - start))
        print(f"{name:20} {median(rates):.1f} img/s", flush=True)
