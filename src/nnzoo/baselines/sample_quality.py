"""How close drawn images are to real ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from nnzoo.baselines.base import OWN, Baselines, Scores, alone, fitting, subset_note
from nnzoo.baselines.features import NUM_FEATURES, Features, feature_network, largest_number
from nnzoo.baselines.images import SMALL, dequantized, mixtures, most_likely, numbers_of_components
from nnzoo.errors import check_sizes
from nnzoo.metrics.samples import sample_metrics
from nnzoo.modules.checks import check_images
from nnzoo.timing import timed

REDUCED = 50
"""Principal components in which large images are modelled."""
DRAWN_AT_ONCE = 250
"""Images that a module draws together."""


class SampleQuality(Baselines):
    """Frechet distance, precision and recall of what a module's ``sample`` draws, beside those of classical models.

    As many images as there are test images are drawn, of their classes or captions if the module is conditional, and
    rounded to the grey levels of the data; of binary data each pixel is drawn with its value as probability, as the
    data were. They are compared with the test images by the features of a classifier of such images, the same one for
    every recipe on the same data (:func:`nnzoo.baselines.features.feature_network`). So the numbers of different data,
    of different numbers of samples, or of Inception's features elsewhere cannot be compared.

    - ``test/frechet``: Frechet distance (arXiv:1706.08500).
    - ``test/precision`` and ``test/recall``: improved precision and recall by the third neighbour (arXiv:1904.06991).
    - ``test/class_share``, of conditional modules: the share of drawn images that the classifier takes for the class
      that was asked for; ``baseline/test_images/class_share`` is its share of the test images themselves, the most that
      can be expected.
    - ``baseline/training_images/...``: of training images in place of drawn ones, as good as a model can get.
    - ``baseline/pca/...``, ``baseline/mixture/...``: of images drawn from a Gaussian, and from scikit-learn's Gaussian
      mixture, of the principal components of the training pixels: all of them, or 50 of images of more than 256 values.

    How long drawing takes is said in a line, not logged: it differs from run to run.

    Args:
        max_samples: Draw at most so many images, and compare them with as many test images, chosen at random.
        max_fitted: Fit the classical models on at most so many training images, chosen at random.
    """

    needs = ("tensors", "parts", "levels", "in_shape")
    itemised = True

    def __init__(self, max_samples: int = 2000, max_fitted: int = 5000) -> None:
        check_sizes(max_samples=max_samples, max_fitted=max_fitted)
        self.max_samples, self.max_fitted = max_samples, max_fitted

    def scores(self, module: Any, data: Any) -> Scores:
        """The metrics of each; none where the module draws nothing or there are too few images."""
        if not hasattr(module, "sample"):
            rank_zero_warn(f"There is no sample quality: {type(module).__name__} has no sample(num_samples, ...).")
            return {}
        most, levels = largest_number(data.in_shape), data.levels
        train, val = (on_levels(data.tensors(part, min(self.max_fitted, most))[0], levels) for part in ("train", "val"))
        count = min(self.max_samples, most, *(len(data.parts[part]) for part in ("train", "test")))
        test, labels = data.tensors("test", count)
        asked = data.captions("test", count) if hasattr(data, "captions") else labels
        if count <= NUM_FEATURES:
            rank_zero_warn(
                f"There is no sample quality: by {NUM_FEATURES} features it needs more images than that in the "
                f"training and in the test part, got {count}."
            )
            return {}
        sets: dict[str, Callable[[], Tensor]] = {
            OWN: lambda: drawn_images(module, asked, data.in_shape),
            "training_images": lambda: data.tensors("train", count)[0],
            "pca": lambda: gaussian_images(train, levels, count),
            "mixture": lambda: mixture_images(train, val, levels, count),
        }
        hint = "fewer with SampleQuality's max_samples"
        with isolate_rng():  # what a module draws without regard to a generator would change what comes after
            network, found = feature_network(data), {}
            real = network(on_levels(test, levels))
            classified = is_conditional(module) and network.num_classes > 0
            for name, draw in sets.items():
                own = timed(f"sampling: {count:,} images", hint, least=0.1)
                with own if name == OWN else fitting(f"{name} (sampled)"):
                    images = draw()
                drawn = network(on_levels(images, levels))
                found[name] = compared(real, drawn)
                if classified and name == OWN:
                    found[OWN]["class_share"] = class_share(network, drawn, labels)
            if classified:
                found["test_images"] = {"class_share": class_share(network, real, labels)}
        self.notes = [
            f"{', '.join(found[OWN])}: of {count:,} images each, by {network.num_features} features of "
            f"{network.origin}",
            *subset_note("pca, mixture (sampled)", len(train), len(data.parts["train"]), "images"),
        ]
        return found


def compared(real: Tensor, drawn: Tensor) -> dict[str, float]:
    """``frechet``, ``precision`` and ``recall`` of drawn images beside real ones, both given by features (N, F)."""
    metrics = alone(sample_metrics(real.shape[1]))
    metrics.update(real, real=True)
    metrics.update(drawn, real=False)
    return {name: float(value) for name, value in metrics.compute().items()}


def drawn_images(module: Any, labels: Tensor, in_shape: tuple[int, int, int], **how: Any) -> Tensor:
    """As many images as labels, of these classes or captions if it is conditional, with a seed of their own.

    Args:
        module: What draws.
        labels: Classes (N,), or tokens of captions (N, T).
        in_shape: (C, H, W) of the images.
        how: Further arguments of the module's ``sample``.
    """
    generator = torch.Generator(module.device).manual_seed(0)
    images = []
    for part in labels.to(module.device).split(DRAWN_AT_ONCE):
        given = [part] if is_conditional(module) else []
        images.append(module.sample(len(part), *given, **how, generator=generator).float().cpu())
    drawn = torch.cat(images)
    check_images(drawn, in_shape)
    return drawn


def is_conditional(module: Any) -> bool:
    """Whether a module draws the classes that it is asked for."""
    return getattr(module, "num_conditions", 0) > 0


def class_share(network: Features, features: Tensor, labels: Tensor) -> float:
    """Share of images, given by their features (N, F), that the classifier takes for their labels (N,)."""
    return float((network.classes(features) == labels).double().mean())


def on_levels(images: Tensor, levels: int) -> Tensor:
    """Images on the grey levels k / (levels - 1): the nearest, and of two levels one drawn with its probability."""
    if levels == 2:
        return torch.bernoulli(images, generator=torch.Generator().manual_seed(0))
    return (images * (levels - 1)).round() / (levels - 1)


class PixelModel:
    """The principal components of training images, dequantised: what pixels are modelled in.

    Args:
        images: (N, C, H, W) in [0, 1].
        levels: Number of grey levels.
    """

    def __init__(self, images: Tensor, levels: int) -> None:
        self.shape, self.levels = images.shape[1:], levels
        train = dequantized(images, levels)
        size = min(len(train) - 1, train.shape[1] if train.shape[1] <= SMALL else REDUCED)
        self.pca = PCA(size, random_state=0).fit(train)

    def codes(self, images: Tensor) -> NDArray[np.float64]:
        """Principal components of images."""
        return self.pca.transform(dequantized(images, self.levels))

    def images(self, codes: NDArray[np.float64]) -> Tensor:
        """Images of principal components; a pixel has the level in whose interval it lies."""
        grey = np.floor(self.pca.inverse_transform(codes) * self.levels).clip(0, self.levels - 1)
        return torch.from_numpy(grey / (self.levels - 1)).float().view(len(codes), *self.shape)


def gaussian_images(train: Tensor, levels: int, count: int) -> Tensor:
    """Images drawn from a Gaussian of the training images' principal components."""
    model = PixelModel(train, levels)
    noise = np.random.default_rng(0).normal(size=(count, model.pca.n_components_))
    return model.images(noise * np.sqrt(model.pca.explained_variance_))


def mixture_images(train: Tensor, val: Tensor, levels: int, count: int) -> Tensor:
    """Images drawn from a Gaussian mixture of them, of the size under which validation images are most likely."""
    model = PixelModel(train, levels)
    candidates = mixtures(numbers_of_components(len(train)), "full")
    return model.images(most_likely(candidates, model.codes(train), model.codes(val)).sample(count)[0])
