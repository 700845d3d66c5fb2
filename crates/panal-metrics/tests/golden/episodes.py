"""Makes episodes.json beside it: `python episodes.py`, with SciPy 1.17 and NumPy 2.4."""

import json
import pathlib

import numpy as np
from scipy import stats

rng = np.random.default_rng(7)


def student(values, level):
    lower, upper = stats.t.interval(level, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return float(lower), float(upper)


def case(episodes, queries, level):
    """Accuracies of two methods on the same episodes, as few-shot papers have them."""
    hard = rng.beta(6, 2, episodes)
    first, second = (rng.binomial(queries, np.clip(hard + shift, 0, 1)) / queries for shift in (0.0, 0.05))
    differences = first - second
    return {
        "first": first.tolist(), "second": second.tolist(), "level": level,
        "median": float(np.median(first)), "min": float(first.min()), "max": float(first.max()),
        "student": student(first, level), "mean_difference": float(differences.mean()), "paired": student(differences, level),
    }


golden = [case(3, 75, 0.95), case(5, 75, 0.95), case(60, 75, 0.95), case(61, 8, 0.99), case(20, 20, 0.5)]
(pathlib.Path(__file__).parent / "episodes.json").write_text(json.dumps(golden) + "\n")
