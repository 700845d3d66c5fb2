"""Makes oneshot.json beside it from Omniglot's all_runs.zip, unpacked: `python oneshot.py FOLDER`, with SciPy 1.17, NumPy 2.4, Pillow.

For each run of the one-shot task, how many of its 20 queries are given a wrong class by the nearest training image: by the
modified Hausdorff distance between the inked pixels less their mean, and by the Euclidean distance of the pixels.
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image
from scipy.spatial.distance import cdist

root = pathlib.Path(sys.argv[1])


def pixels(path):
    return np.asarray(Image.open(root / path).convert("L"), dtype=float) / 255


def points(path):
    ink = np.argwhere(pixels(path) == 0).astype(float)
    return ink - ink.mean(axis=0)


def hausdorff(a, b):
    d = cdist(a, b)
    return max(d.min(axis=1).mean(), d.min(axis=0).mean())


def wrong(run, load, distance):
    truth = dict(line.split() for line in (root / run / "class_labels.txt").read_text().splitlines())
    support = sorted(set(truth.values()))
    loaded = [load(path) for path in support]
    guesses = {q: support[int(np.argmin([distance(load(q), s) for s in loaded]))] for q in truth}
    return sum(guesses[query] != truth[query] for query in truth)


runs = sorted(path.name for path in root.glob("run*"))
golden = {
    "hausdorff": [wrong(run, points, hausdorff) for run in runs],
    "pixels": [wrong(run, pixels, lambda a, b: float(np.linalg.norm(a - b))) for run in runs],
}
(pathlib.Path(__file__).parent / "oneshot.json").write_text(json.dumps(golden) + "\n")
print({name: sum(errors) / 4 for name, errors in golden.items()})
