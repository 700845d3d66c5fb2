"""Predictions for every image of a folder, as a torchvision user writes them: python predict.py WEIGHTS FOLDER BATCH OUT.csv

MobileNetV2 with a head of two classes; two loader workers, channels-last, the usual evaluation transform.
"""

import csv
import glob
import resource
import sys

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torchvision import transforms as T

weights, folder, batch, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PLAIN = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize(MEAN, STD)])


class Folder(torch.utils.data.Dataset):
    def __init__(self):
        self.files = sorted(glob.glob(folder + "/**/*.jpg", recursive=True))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return PLAIN(Image.open(self.files[index]).convert("RGB"))


net = torchvision.models.mobilenet_v2(weights=None)
net.load_state_dict(load_file(weights))
net.classifier[1] = torch.nn.Linear(1280, 2)
net = net.eval().to(memory_format=torch.channels_last)
data = Folder()
rows = []
with torch.no_grad():
    for images in torch.utils.data.DataLoader(data, batch_size=batch, num_workers=2):
        rows += net(images.to(memory_format=torch.channels_last)).softmax(1).tolist()
with open(out, "w", newline="") as file:
    csv.writer(file).writerows([file, *row] for file, row in zip(data.files, rows))
memory = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024 / 1e6
print(f"torchvision memory {memory:.1f} MB")
