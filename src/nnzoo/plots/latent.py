"""Latent spaces."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import Tensor

from nnzoo.plots.images import short_names


def latent_space(codes: Tensor, labels: Tensor, classes: Sequence[str], title: str) -> Figure:
    """Codes (N, L) as points coloured by class; more than two dimensions are projected on their principal axes."""
    points = codes.detach().float().cpu().numpy()
    names = ["latent 1", "latent 2"]
    if points.shape[1] == 1:
        points, names = np.concatenate([points, np.zeros_like(points)], axis=1), ["latent 1", ""]
    elif points.shape[1] > 2:
        pca = PCA(2).fit(points)
        points = pca.transform(points)
        names = [
            f"principal component {i + 1} ({100 * share:.0f} %)"
            for i, share in enumerate(pca.explained_variance_ratio_)
        ]
    figure = Figure(figsize=(6.5, 5.5), dpi=120, layout="constrained")
    axis = figure.subplots()
    colors = colormaps["tab10" if len(classes) <= 10 else "turbo"]
    numbers, names_of = labels.cpu().numpy(), short_names(classes)
    for number in np.unique(numbers):
        chosen = numbers == number
        color = colors(number if len(classes) <= 10 else number / max(1, len(classes) - 1))
        name = names_of[number] if number < len(classes) else None
        axis.scatter(
            points[chosen, 0],
            points[chosen, 1],
            s=max(9, min(40, 6000 / len(points))),
            alpha=0.75,
            color=color,
            label=name,
            linewidths=0,
        )
    axis.set(xlabel=names[0], ylabel=names[1], title=title)
    if 0 < len(classes) <= 20:
        axis.legend(markerscale=2, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), title="class")
    return figure
