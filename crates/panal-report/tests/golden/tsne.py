"""Write tsne.json: run `python tsne.py` with scikit-learn 1.9.1.

Three groups of points, one of them stretched, and what scikit-learn's exact t-SNE makes of them: the divergence that is left, and its
trustworthiness (Venna and Kaski 2001), the share of neighbours in the plane that are neighbours in the features.
"""

import json
import pathlib

import numpy as np
from sklearn.manifold import TSNE, trustworthiness

rng = np.random.default_rng(0)
centres = 4.0 * rng.standard_normal((3, 8))
points = np.concatenate([centre + rng.standard_normal((count, 8)) for centre, count in zip(centres, (40, 35, 45))])
points[:40, 0] *= 5.0
points = np.round(points, 3)

tsne = TSNE(perplexity=30.0, method="exact", init="pca", random_state=0)
plane = tsne.fit_transform(points)
out = {
    "features": points.tolist(),
    "perplexity": 30.0,
    "divergence": float(tsne.kl_divergence_),
    "trustworthiness": {str(k): float(trustworthiness(points, plane, n_neighbors=k)) for k in (5, 12)},
}
pathlib.Path(__file__).with_name("tsne.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
