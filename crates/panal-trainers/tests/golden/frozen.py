"""Makes frozen.json with NumPy and scikit-learn: `python tests/golden/frozen.py`.

Nearest neighbours are a plain loop in f64. `l2` of panal is `1 / C` of scikit-learn: its objective is
`C * sum of losses + |w|^2 / 2`, panal's the same divided by `C`.
"""

import json
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression

TRAIN, TEST, DIM, CLASSES = 43, 11, 5, 3
rng = np.random.default_rng(5)
centres = rng.normal(size=(CLASSES, DIM))


def bank(images):
    labels = np.arange(images) % CLASSES
    # Positive, far from centred, each feature of another scale, as a network's may be.
    features = np.abs(centres[labels] + 1.3 * rng.normal(size=(images, DIM)) + 4) * [1, 0.1, 3, 0.5, 1]
    return np.round(features, 4), labels


(x, y), (x_test, y_test) = bank(TRAIN), bank(TEST)


def knn(k, temperature):
    shares = []
    for image in x_test:
        similarity = [image @ other / np.linalg.norm(image) / np.linalg.norm(other) for other in x]
        votes = np.zeros(CLASSES)
        for i in np.argsort(similarity)[::-1][:k]:
            # A factor common to all votes leaves their shares alone.
            votes[y[i]] += np.exp((similarity[i] - 1) / temperature)
        shares.append((votes / votes.sum()).round(9).tolist())
    return {"k": k, "temperature": temperature, "shares": shares}


def logistic(l2):
    fit = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=100_000).fit(x, y)
    loss = -np.log(fit.predict_proba(x)[np.arange(TRAIN), y]).sum()
    return {
        "l2": l2,
        "objective": round(float(loss + l2 / 2 * (fit.coef_**2).sum()), 9),
        "weight": fit.coef_.round(7).tolist(),
        # A constant added to every class's bias changes nothing; that of mean 0 is compared.
        "bias": (fit.intercept_ - fit.intercept_.mean()).round(7).tolist(),
        "probabilities": fit.predict_proba(x_test).round(9).tolist(),
    }


golden = {
    "classes": CLASSES,
    "train": {"features": x.tolist(), "labels": y.tolist()},
    "test": {"features": x_test.tolist(), "labels": y_test.tolist()},
    "knn": [knn(1, 0.07), knn(7, 0.07), knn(7, 0.001), knn(TRAIN, 0.5)],
    "logistic": [logistic(l2) for l2 in [1e-2, 1.0, 30.0]],
}
(pathlib.Path(__file__).parent / "frozen.json").write_text(json.dumps(golden) + "\n")
