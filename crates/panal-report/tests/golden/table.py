"""Makes table.json with scikit-learn, statsmodels and NumPy: `python tests/golden/table.py > tests/golden/table.json`."""

import itertools
import json

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(11)
CLASSES, TRUTH = 3, np.repeat([0, 1, 2], [7, 11, 5])
# Rows with an unequal number of seeds; the second never predicts class 2.
MISTAKES = {"probing": [2, 1, 3], "collapsed": [2, 3], "one seed": [1]}


def predictions(row, mistakes):
    predicted = TRUTH.copy()
    # Few images are ever wrong, so that all sign patterns can be tried.
    wrong = rng.choice([0, 1, 2, 6, 7, 8, 9, 17], mistakes, replace=False)
    predicted[wrong] = (predicted[wrong] + 1) % (2 if row == "collapsed" else 3)
    if row == "collapsed":
        predicted[predicted == 2] = 1
    return predicted


def spread(values):
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def exact_p(a, b):
    differences = a - b
    differences = differences[differences != 0]
    assert 2 ** len(differences) <= 10_000
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    sums = np.abs(signs @ differences) if len(differences) else np.zeros(1)
    return float(np.mean(sums >= abs(differences.sum()) - 1e-9))


rows, right = [], []
for row, seeds in MISTAKES.items():
    runs = [predictions(row, mistakes) for mistakes in seeds]
    average = [precision_recall_fscore_support(TRUTH, p, average="macro", zero_division=0, labels=range(CLASSES)) for p in runs]
    classes = [precision_recall_fscore_support(TRUTH, p, zero_division=0, labels=range(CLASSES)) for p in runs]
    hits = np.array([p == TRUTH for p in runs])
    low, high = proportion_confint(int(np.floor(hits.sum() / len(runs) + 0.5)), len(TRUTH), method="wilson")
    right.append(hits.sum(0) / len(runs))
    rows.append({
        "row": row,
        "predicted": [p.tolist() for p in runs],
        "precision": spread([a[0] for a in average]),
        "recall": spread([a[1] for a in average]),
        "f1": spread([a[2] for a in average]),
        "accuracy": spread([accuracy_score(TRUTH, p) for p in runs]),
        "low": float(low),
        "high": float(high),
        "class_f1": [spread([c[2][k] for c in classes]) for k in range(CLASSES)],
        "confusion": sum(confusion_matrix(TRUTH, p, labels=range(CLASSES)) for p in runs).tolist(),
    })

pairs = list(itertools.combinations(range(len(rows)), 2))
corrected = multipletests([exact_p(right[a], right[b]) for a, b in pairs], method="holm")[1]
best = max(range(len(rows)), key=lambda i: rows[i]["accuracy"]["mean"])
for i, row in enumerate(rows):
    row["p"] = None if i == best else float(corrected[pairs.index((min(i, best), max(i, best)))])
print(json.dumps({"truth": TRUTH.tolist(), "rows": rows}, indent=1))
