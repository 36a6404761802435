"""Classical models on the same samples, so that the table shows what the network is worth."""

import math
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from torch import Tensor

from nnzoo.metrics.images import image_metrics


class DensityBaselines(Callback):
    """Bits per dimension of scikit-learn's PCA, kernel density and Gaussian mixture, as ``baseline/NAME/bits_per_dim``.

    All see the grey levels dequantised with uniform noise, (k + u) / levels, of the module's own samples.
    Their sizes (components of PCA and mixture, bandwidth of the kernel) are chosen on the validation samples. Images of
    more than 256 values get diagonal mixtures and no kernel density, those of more than 1,024 no PCA either.

    Args:
        max_samples: Use at most so many samples of each part: these models are slow on large sets.
    """

    def __init__(self, max_samples: int = 5000) -> None:
        self.max_samples = max_samples

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fits and logs the baselines."""
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "tensors") or data.levels == 2:
            rank_zero_warn("There are no density baselines for binary images or other datamodules.")
            return
        rank_zero_info("Fitting the baselines ...")
        train, val, test = (
            dequantized(data.tensors(part, self.max_samples)[0], data.levels) for part in ("train", "val", "test")
        )
        for name, bits in density_baselines(train, val, test, data.levels).items():
            pl_module.log(f"baseline/{name}/bits_per_dim", bits, rank_zero_only=True)


def dequantized(images: Tensor, levels: int) -> NDArray[np.float64]:
    """Grey levels k of images k / (levels - 1) as (k + u) / levels with u ~ U(0, 1), one row per image."""
    rng = np.random.default_rng(0)
    grey = images.flatten(1).double().numpy() * (levels - 1)
    return (grey.round() + rng.random(grey.shape)) / levels


def density_baselines(
    train: NDArray[np.float64], val: NDArray[np.float64], test: NDArray[np.float64], levels: int
) -> dict[str, float]:
    """Bits per dimension on ``test`` of PCA, kernel density and Gaussian mixture fitted on ``train``."""
    dims = train.shape[1]
    small = dims <= 256  # full covariances and kernels of larger images would take hours
    few = [number for number in (1, 2, 5, 10, 20, 30) if number < len(train)]
    # scikit-learn's PCA inverts a full covariance to score: 1,024 values take seconds, 12,288 hours.
    components = [*few, *((dims // 2, dims - 1) if small else ())] if dims <= 1024 else []
    components = [number for number in components if number < min(train.shape)]
    covariance = "full" if small else "diag"
    bandwidths = list(np.geomspace(0.02, 0.5, 12)) if small else []
    candidates: dict[str, list[Any]] = {
        "pca": [PCA(number, random_state=0) for number in components],
        "kde": [KernelDensity(bandwidth=bandwidth) for bandwidth in bandwidths],
        "mixture": [
            GaussianMixture(number, covariance_type=covariance, reg_covar=floor, random_state=0)
            for number in few
            for floor in (1e-4, 1e-3)
        ],
    }
    bits = {}
    for name, models in candidates.items():
        if not models:
            continue
        fitted = (model.fit(train) for model in models)
        best = max(fitted, key=lambda model: np.mean(model.score_samples(val)))
        bits[name] = float((math.log(levels) - np.mean(best.score_samples(test)) / dims) / math.log(2))
    return bits


class ReconstructionBaselines(Callback):
    """MSE, PSNR and SSIM of the identity and of a PCA of the same size, as ``baseline/NAME/METRIC``.

    Both get the very input that the module gets: with noise, the identity is the noisy image itself. PCA is fitted on
    clean training images and projects its input on as many components as the module has latent dimensions. Without
    noise the identity is perfect and left out.

    Args:
        max_samples: Fit PCA on at most so many training samples.
    """

    def __init__(self, max_samples: int = 20000) -> None:
        self.max_samples = max_samples

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fits PCA."""
        hparams = pl_module.hparams
        names = ["pca"] if hparams["noise"] == "none" else ["identity", "pca"]
        self._metrics = {name: image_metrics(hparams["in_shape"]).to(pl_module.device) for name in names}
        images = trainer.datamodule.tensors("train", self.max_samples)[0].flatten(1).numpy()  # type: ignore[attr-defined]
        self._pca = PCA(min(hparams["latent_dim"], *images.shape), random_state=0).fit(images)

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Measures both on the module's own input."""
        images, _ = batch
        inputs = pl_module.corrupt_for_evaluation(images, batch_idx)
        projected = self._pca.inverse_transform(self._pca.transform(inputs.flatten(1).float().cpu().numpy()))
        outputs = {"identity": inputs, "pca": torch.from_numpy(projected).to(images).view_as(images)}
        for name, metrics in self._metrics.items():
            metrics.update(outputs[name].clamp(0, 1), images)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the baselines."""
        for baseline, metrics in self._metrics.items():
            for name, value in metrics.compute().items():
                pl_module.log(f"baseline/{baseline}/{name}", value, rank_zero_only=True)
