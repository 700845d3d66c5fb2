"""Write contrastive.json: run `python contrastive.py` with torch 2.11.0.

Every loss is written out pair by pair in f64, with no matrix; torch gives the gradients.
"""

import json
import math
import pathlib
import random

import torch

torch.set_num_threads(1)
draw = random.Random(0)


def numbers(rows, width, scale=1.0):
    """Multiples of 1/64, the same in f32 and f64; rows of different lengths."""
    return [
        [round(draw.gauss(0, 1) * scale * (1 + row % 3) * 64) / 64 for _ in range(width)] for row in range(rows)
    ]


def views(images, width, noise):
    """Two views of an image are one point with noise."""
    rows = []
    for point in numbers(images, width):
        for _ in range(2):
            rows.append([round((x + draw.gauss(0, 1) * noise) * 64) / 64 for x in point])
    return rows


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def unit(row):
    length = torch.sqrt(dot(row, row))
    return [x / length for x in row]


def log_sum_exp(terms):
    largest = max(terms, key=torch.Tensor.item).detach()
    return largest + torch.log(sum(torch.exp(term - largest) for term in terms))


def partner(i):
    return i - 1 if i % 2 else i + 1


def nt_xent(z, temperature, similarity):
    u = [unit(row) for row in z] if similarity == "cosine" else z
    total = 0
    for i in range(len(u)):
        others = [dot(u[i], u[j]) / temperature for j in range(len(u)) if j != i]
        total = total + log_sum_exp(others) - dot(u[i], u[partner(i)]) / temperature
    return total / len(u)


missing = 0


def triplets(z, negatives):
    """For each anchor the similarity of its positive, and those of its negatives."""
    global missing
    u = [unit(row) for row in z]
    for i in range(len(u)):
        positive = dot(u[i], u[partner(i)])
        other_view = [j for j in range(len(u)) if j % 2 != i % 2 and j != partner(i)]
        candidates = [dot(u[i], u[j]) for j in other_view]
        if negatives == "semi_hard":
            farther = [c for c in candidates if c < positive]
            candidates = [max(farther, key=torch.Tensor.item)] if farther else []
            missing += not farther
        yield positive, candidates


def log_sigmoid(x):
    return -torch.log(1 + torch.exp(-x))


def nt_logistic(z, temperature, negatives):
    total = 0
    for positive, candidates in triplets(z, negatives):
        total = total - log_sigmoid(positive / temperature)
        for c in candidates:
            total = total - log_sigmoid(-c / temperature) / len(candidates)
    return total / len(z)


def margin_triplet(z, margin, negatives):
    total = 0 * z.sum()
    for positive, candidates in triplets(z, negatives):
        for c in candidates:
            cost = c - positive + margin
            if cost > 0:
                total = total + cost / len(candidates)
    return total / len(z)


def sup_con(z, labels, temperature):
    u = [unit(row) for row in z]
    total = 0
    for i in range(len(u)):
        normaliser = log_sum_exp([dot(u[i], u[j]) / temperature for j in range(len(u)) if j != i])
        positives = [j for j in range(len(u)) if j != i and labels[j] == labels[i]]
        for p in positives:
            total = total + (normaliser - dot(u[i], u[p]) / temperature) / len(positives)
    return total / len(u)


def info_nce(z, key, queue, temperature):
    total = 0
    for query, key in zip(z, key):
        q, k = unit(query), unit(torch.tensor(key, dtype=torch.float64))
        terms = [dot(q, other) / temperature for other in [k] + queue]
        total = total + log_sum_exp(terms) - terms[0]
    return total / len(z)


def measured(z):
    """Contrastive accuracy, alignment, uniformity."""
    u = [[float(x) for x in unit(row)] for row in torch.tensor(z, dtype=torch.float64)]
    rank = []
    for i in range(len(u)):
        order = sorted((j for j in range(len(u)) if j != i), key=lambda j: -dot(u[i], u[j]))
        rank.append(order.index(partner(i)))
    squared = lambda a, b: sum((x - y) ** 2 for x, y in zip(a, b))
    images = len(u) // 2
    alignment = sum(squared(u[2 * k], u[2 * k + 1]) for k in range(images)) / images
    uniformity = 0
    for view in [u[0::2], u[1::2]]:
        potentials = [math.exp(-2 * squared(view[a], view[b])) for a in range(images) for b in range(a)]
        uniformity += math.log(sum(potentials) / len(potentials)) / 2
    return dict(
        top1=sum(r < 1 for r in rank) / len(u),
        top5=sum(r < 5 for r in rank) / len(u),
        alignment=alignment,
        uniformity=uniformity,
    )


def shortened(x):
    return float(f"{x:.12g}")


cases = []


def case(loss, z, **arguments):
    x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    value = globals()[loss](x, **arguments)
    value.backward()
    gradient = [[shortened(g) for g in row] for row in x.grad.tolist()]
    cases.append(dict(loss=loss, z=z, **arguments, value=shortened(value.item()), gradient=gradient))


small, large = views(3, 5, noise=3.0), views(5, 3, noise=1.0)
for z in [small, large]:
    for temperature in [0.05, 0.5]:
        case("nt_xent", z, temperature=temperature, similarity="cosine")
    case("nt_xent", z, temperature=10.0, similarity="dot")
    for negatives in ["all", "semi_hard"]:
        for temperature in [0.1, 1.0]:
            case("nt_logistic", z, temperature=temperature, negatives=negatives)
        for margin in [0.0, 0.4, 1.6]:
            case("margin_triplet", z, margin=margin, negatives=negatives)
assert missing > 0, "some anchor should have no semi-hard negative"

for temperature in [0.07, 1.0]:
    case("sup_con", numbers(7, 4), labels=[3, -1, 3, 8, 8, -1, 3], temperature=temperature)
    queue = [[float(x) for x in unit(row)] for row in torch.tensor(numbers(6, 5), dtype=torch.float64)]
    case("info_nce", numbers(3, 5), key=numbers(3, 5), queue=queue, temperature=temperature)

for z in [small, large, views(9, 4, noise=2.0)]:
    cases.append(dict(loss="measured", z=z, **{k: shortened(v) for k, v in measured(z).items()}))
assert any(c.get("top5", 1) < 1 for c in cases) and any(0 < c.get("top1", 0) < 1 for c in cases)

out = pathlib.Path(__file__).with_name("contrastive.json")
out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
