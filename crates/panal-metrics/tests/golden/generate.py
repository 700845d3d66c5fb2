"""Makes golden.json beside it: `python generate.py`, with scikit-learn 1.9.1, SciPy 1.17.1, statsmodels 0.15.0 and NumPy 2.4."""

import json
import pathlib
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20)


def confusion(name, classes, truth, predicted):
    labels = range(classes)
    scores = {}
    for word, value in [("zero", 0), ("one", 1)]:
        score = lambda average: metrics.precision_recall_fscore_support(
            truth, predicted, labels=labels, average=average, zero_division=value
        )
        scores[word] = {
            "per_class": [list(map(float, row)) for row in zip(*score(None))],
            **{average: list(map(float, score(average)[:3])) for average in ["macro", "micro", "weighted"]},
        }
    return {
        "name": name, "classes": classes, "truth": list(map(int, truth)), "predicted": list(map(int, predicted)),
        "matrix": metrics.confusion_matrix(truth, predicted, labels=labels).tolist(),
        "accuracy": metrics.accuracy_score(truth, predicted), **scores,
    }


def auc(name, positive, scores):
    return {
        "name": name, "positive": list(map(bool, positive)), "scores": list(map(float, scores)),
        "auc": metrics.roc_auc_score(positive, scores),
    }


def reliability(truth, p, bins):
    """The definition, with bins (lower, upper] as np.digitize makes them from the edges."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    bin_of = np.clip(np.digitize(confidence, np.arange(bins + 1) / bins, right=True) - 1, 0, bins - 1)
    rows = []
    for b in range(bins):
        inside = bin_of == b
        n = int(inside.sum())
        rows.append([n, float(confidence[inside].mean()) if n else None, float(right[inside].mean()) if n else None])
    gaps = [abs(c - a) if n else 0.0 for n, c, a in rows]
    return {"bins": rows, "ece": sum(n * g for (n, _, _), g in zip(rows, gaps)) / len(truth), "mce": max(gaps)}


def probabilities(name, truth, p, bins):
    truth, p = np.array(truth), np.array(p, dtype=float)
    labels = list(range(p.shape[1]))
    columns = lambda average: metrics.roc_auc_score(truth, p, multi_class="ovr", average=average, labels=labels)
    out = {
        "name": name, "truth": truth.tolist(), "rows": p.tolist(),
        "log_loss": metrics.log_loss(truth, p, labels=labels), **reliability(truth, p, bins),
        "brier": metrics.brier_score_loss(truth, p if len(labels) > 2 else p[:, 1], labels=labels, scale_by_half=False),
    }
    if len(labels) > 2 and set(truth.tolist()) == set(labels):
        out["auc"] = {"macro": columns("macro"), "weighted": columns("weighted")}
    return out


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def wilson(successes, trials, level):
    lower, upper = proportion_confint(successes, trials, alpha=1 - level, method="wilson")
    return {"successes": successes, "trials": trials, "level": level, "lower": float(lower), "upper": float(upper)}


def student(values, level):
    values = np.array(values, dtype=float)
    lower, upper = stats.t.interval(level, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return {
        "values": values.tolist(), "level": level, "mean": values.mean(), "sd": values.std(ddof=1),
        "lower": float(lower), "upper": float(upper),
    }


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) * bound) >> 64


def bootstrap(values, resamples, level, seed):
    """Means of resamples; the generator is the crate's own, the quantiles are NumPy's."""
    values = np.array(values)
    draw = SplitMix64(seed)
    means = [values[[draw.below(len(values)) for _ in values]].mean() for _ in range(resamples)]
    lower, upper = np.quantile(means, [(1 - level) / 2, 1 - (1 - level) / 2])
    return {
        "values": values.tolist(), "resamples": resamples, "level": level, "seed": seed,
        "lower": float(lower), "upper": float(upper),
    }


def mcnemar_case(b, c):
    table = [[5, b], [c, 3]]
    exact, chi = mcnemar(table, exact=True), mcnemar(table, exact=False, correction=True)
    out = {"only_first": b, "only_second": c, "exact": float(exact.pvalue)}
    if b != c:  # there the crate stops at 0, as R does
        out |= {"statistic": float(chi.statistic), "p_value": float(chi.pvalue)}
    return out


def permutation(first, second):
    first, second = np.array(first, dtype=float), np.array(second, dtype=float)
    test = stats.permutation_test(
        (first, second), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples",
        n_resamples=2 ** len(first), vectorized=True, alternative="two-sided",
    )
    return {"first": first.tolist(), "second": second.tolist(), "p_value": float(test.pvalue), "mean": float(test.statistic)}


def holm(p):
    return {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}


eighths = lambda n: rng.integers(0, 9, n) / 8
ints = lambda high, n: rng.integers(0, high, n)
golden = {
    "confusion": [
        confusion("ants and bees", 2, ints(2, 41), ints(2, 41)),
        confusion("all right", 3, [0, 1, 2, 2], [0, 1, 2, 2]),
        confusion("all wrong", 3, [0, 1, 2, 2], [1, 2, 0, 1]),
        confusion("class 1 never predicted", 3, [0, 1, 2, 2, 1], [0, 2, 2, 2, 0]),
        confusion("class 1 without samples", 3, [0, 2, 2, 0], [0, 1, 2, 1]),
        confusion("class 3 of neither", 5, ints(3, 30), [0, 1, 2, 4, 4] * 6),
        confusion("one sample", 4, [2], [2]),
        confusion("one class", 1, [0, 0, 0], [0, 0, 0]),
        confusion("seven classes", 7, ints(7, 120), ints(7, 120)),
    ],
    "auc": [
        auc("no ties", ints(2, 37), rng.normal(size=37)),
        auc("many ties", ints(2, 60), eighths(60)),
        auc("all tied", [0, 1, 1, 0, 1], [0.5] * 5),
        auc("perfect", [0, 0, 1, 1, 1], [-3, -1, 0, 2, 9]),
        auc("reversed", [1, 1, 0], [-3, -1, 4]),
        auc("zeros of both signs tie", [1, 0, 0, 1], [-0.0, 0.0, -1.0, 2.0]),
    ],
    "probabilities": [
        probabilities("three classes", ints(3, 40), softmax(rng.normal(size=(40, 3)) * 2), 15),
        probabilities("five classes, tied scores", np.arange(50) % 5, softmax(ints(3, (50, 5)) * 1.0), 10),
        probabilities("two classes", ints(2, 33), softmax(rng.normal(size=(33, 2))), 7),
        probabilities("certain and wrong", [0, 1, 1, 0], [[1, 0], [1, 0], [0, 1], [0.5, 0.5]], 4),
        probabilities("on the edges", [0, 1, 0, 1, 1, 0, 0], [[a / 20, 1 - a / 20] for a in [10, 12, 7, 14, 3, 16, 20]], 10),
        probabilities("a class without samples", [0, 2, 2, 0, 0], softmax(rng.normal(size=(5, 3))), 3),
    ],
    "wilson": [wilson(s, n, l) for s, n in [(0, 9), (9, 9), (1, 1), (143, 153), (1, 1000), (50, 100)] for l in [0.5, 0.95, 0.9999]],
    "student": [student(rng.normal(0.9, 0.02, n), l) for n in [2, 3, 4, 5, 10, 31, 200] for l in [0.5, 0.95, 0.999]],
    "bootstrap": [
        bootstrap(eighths(23), 500, 0.95, 0), bootstrap(rng.normal(size=11), 333, 0.8, 2**64 - 1), bootstrap([0.25], 5, 0.99, 3),
    ],
    "mcnemar": [
        mcnemar_case(b, c)
        for b, c in [(0, 0), (0, 1), (1, 1), (4, 0), (2, 9), (10, 10), (30, 12), (60, 24), (25, 26), (400, 317), (5000, 4000), (700, 20)]
    ],
    "permutation": [
        permutation(rng.normal(size=9), rng.normal(size=9)),
        permutation(rng.normal(1.5, 1, 12), rng.normal(size=12)),
        permutation(ints(2, 11), ints(2, 11)),
        permutation([0.9, 0.91, 0.93], [0.8, 0.82, 0.81]),
        permutation([1, 2, 3], [1, 2, 3]),
        permutation(eighths(14), eighths(14)),
    ],
    "holm": [holm([0.01, 0.04, 0.03, 0.005]), holm([0.5]), holm([0.2, 0.2, 0.0, 1.0, 0.06, 0.06]), holm(rng.uniform(0, 0.3, 9).tolist())],
}
(pathlib.Path(__file__).parent / "golden.json").write_text(json.dumps(golden) + "\n")
