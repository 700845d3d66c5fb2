"""The ants and bees as a phone would have taken them, 4000 x 3000 pixels: python enlarge.py hymenoptera_data OUT IMAGES

The first IMAGES photographs of every class and split, cropped to 4:3, enlarged, and with some noise, without which such a file would
be far smaller than that of a photograph. The same each time with the same Pillow and numpy.
"""

import pathlib
import sys

import numpy as np
from PIL import Image, ImageOps

SIZE = (4000, 3000)
NOISE = 3  # standard deviation, of 255

data, out, images = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
draw = np.random.default_rng(0)
for split in ("train", "val"):
    for folder in sorted(path for path in (data / split).iterdir() if path.is_dir()):
        place = out / split / folder.name
        place.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.jpg"))[:images]:
            enlarged = ImageOps.fit(Image.open(file).convert("RGB"), SIZE, Image.Resampling.BICUBIC)
            noise = draw.normal(0, NOISE, (SIZE[1], SIZE[0], 1)).astype(np.float32)
            pixels = np.clip(np.rint(np.asarray(enlarged, np.float32) + noise), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(place / file.name, quality=85)
