"""Densities of points: the true law, a kernel density and a mixture."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from nnzoo.baselines.base import Baselines, Scores, alone, fitting, subset_note
from nnzoo.errors import check_sizes
from nnzoo.metrics.modes import mode_metrics

RTOL = 1e-4
"""Relative error of a kernel density: exact ones take several times as long."""
NUM_DRAWN = 2500
"""Points that each model draws to be judged by, as in Srivastava et al. 2017."""


class LawBaselines(Baselines):
    """Negative log-likelihood in nats of the true law and of scikit-learn's densities, as ``baseline/NAME/nll``.

    That of the law is the lowest that a model can have, up to the chance of the test points. Kernel density and
    Gaussian mixture are fitted on training points; bandwidth and number of components are chosen on validation points.
    Where the law has modes, 2,500 points drawn from each are judged by them: ``modes_found`` and ``high_quality``.

    Args:
        max_samples: Use at most so many training and validation points, chosen at random.
    """

    needs = ("points", "law", "mode_centers", "mode_std")
    itemised = True

    def __init__(self, max_samples: int = 5000) -> None:
        check_sizes(max_samples=max_samples)
        self.max_samples = max_samples

    def scores(self, module: Any, data: Any) -> Scores:
        """The likelihood of each model, and the quality of its points."""
        train, val = (data.points(part, self.max_samples).double().numpy() for part in ("train", "val"))
        test = data.points("test")
        self.notes = subset_note("kde, mixture", len(train), len(data.points("train")), "points")
        found = {"law": {"nll": -float(data.law.log_density(test.double()).mean())}}
        drawn = {"law": data.law.draw(NUM_DRAWN, seed=0).points}
        for name, model in fitted_densities(train, val).items():
            found[name] = {"nll": -float(np.mean(model.score_samples(test.double().numpy())))}
            drawn[name] = torch.from_numpy(drawn_from(model, NUM_DRAWN))
        if data.mode_centers:
            for name, points in drawn.items():
                metrics = alone(mode_metrics(data.mode_centers, data.mode_std))
                found[name] |= {metric: float(value) for metric, value in metrics(points).items()}
        return found


def fitted_densities(train: NDArray[np.float64], val: NDArray[np.float64]) -> dict[str, Any]:
    """scikit-learn's kernel density and Gaussian mixture, of the size under which ``val`` is most probable."""
    few = [number for number in (1, 2, 4, 8, 16, 25, 40, 64) if number < len(train)]
    candidates: dict[str, list[Any]] = {
        "kde": [KernelDensity(bandwidth=bandwidth, rtol=RTOL) for bandwidth in np.geomspace(0.003, 0.3, 12)],
        "mixture": [GaussianMixture(number, random_state=0) for number in few],
    }
    best = {}
    for name, models in candidates.items():
        if models:
            with fitting(name):
                fitted = (model.fit(train) for model in models)
                best[name] = max(fitted, key=lambda model: np.mean(model.score_samples(val)))
    return best


def drawn_from(model: Any, count: int) -> NDArray[np.float64]:
    """Points (count, 2) drawn from one of scikit-learn's densities, the same ones each time."""
    if isinstance(model, GaussianMixture):
        return model.sample(count)[0]  # by its own random_state
    return model.sample(count, random_state=0)
