"""Makes rectify.json with NumPy alone, image by image and class by class: `python tests/golden/rectify.py`.

LaplacianShot (arXiv 2006.15486) with the rectification of prototypes of its authors' program. The fourth case has a class whose
prototype no image is nearest to, by cosine, its own support images included, so that it keeps its mean.
"""

import json
import pathlib

import numpy as np


def softmax(values):
    shares = np.exp(values - np.max(values))
    return shares / shares.sum()


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def rectify(support, means, query):
    query = query + (support.mean(axis=0) - query.mean(axis=0))
    counted = [[] for _ in means]
    for x in [*support, *query]:
        cosines = np.array([cosine(x, mean) for mean in means])
        best = int(np.argmax(cosines))
        counted[best].append(softmax(10 * cosines)[best] * x)
    sizes = [len(images) for images in counted]
    new = [sum(images) / len(images) if images else mean for images, mean in zip(counted, means)]
    return query, np.array(new), sizes


def laplacian(means, query, neighbours, lam, iterations):
    unary = np.array([[np.sum((x - mean) ** 2) for mean in means] for x in query])
    nearest = []
    for q, x in enumerate(query):
        others = [p for p in range(len(query)) if p != q]
        nearest.append(sorted(others, key=lambda p: np.sum((query[p] - x) ** 2))[:neighbours])
    shares = np.array([softmax(-row) for row in unary])
    for _ in range(iterations):
        pulls = np.array([shares[near].sum(axis=0) for near in nearest])
        shares = np.array([softmax(-row + lam * pull) for row, pull in zip(unary, pulls)])
    return shares


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


rng = np.random.default_rng(17)
cases = []
for ways, shots, queries, dim, normed, neighbours, lam in [
    (3, 1, 8, 5, True, 3, 0.7),
    (4, 3, 13, 6, True, 2, 1.0),
    (2, 2, 7, 3, False, 3, 0.4),
    (3, 2, 9, 4, False, 3, 0.5),
]:
    centres = 1.2 * rng.normal(size=(ways, dim))
    labels = np.arange(ways * shots) % ways
    support = centres[labels] + rng.normal(size=(ways * shots, dim))
    # Moved, so that there is something to rectify.
    query = centres[np.arange(queries) * 2 % ways] + rng.normal(size=(queries, dim)) + 0.8
    if len(cases) == 3:
        # The mean of class 2 is small, and points where none of its images do.
        support[labels == 2] = [[3.0, 0.1, 0.2, 0.0], [-2.9, 0.0, 0.0, 0.3]]
        support[labels == 0] += [4.0, 0.0, 0.0, 0.0]
        support[labels == 1] += [-4.0, 0.0, 0.0, 0.0]
    if normed:
        support, query = unit(support), unit(query)
    # What f32 holds, so that both begin with the same numbers.
    support, query = support.astype(np.float32).astype(float), query.astype(np.float32).astype(float)
    means = np.array([support[labels == way].mean(axis=0) for way in range(ways)])
    moved, rectified, sizes = rectify(support, means, query)
    assert (0 in sizes) == (len(cases) == 3), sizes
    cases.append(
        {
            "support": support.tolist(),
            "labels": labels.tolist(),
            "query": query.tolist(),
            "ways": ways,
            "neighbours": neighbours,
            "lambda": lam,
            "iterations": 20,
            "rectified": laplacian(rectified, moved, neighbours, lam, 20).round(9).tolist(),
            "plain": laplacian(means, query, neighbours, lam, 20).round(9).tolist(),
        }
    )
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases) + "\n")
