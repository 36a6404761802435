"""The autoencoder, plain or denoising."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from nnzoo.errors import InputError
from nnzoo.metrics.images import image_metrics
from nnzoo.metrics.means import STAGES, StageMeans
from nnzoo.modules.checks import check_images
from nnzoo.modules.generative import ImageAutoencoder, images_and_labels
from nnzoo.nets.autoencoder import Noise, ReconstructionLoss, corrupt, reconstruction_error
from nnzoo.nets.noise import Source
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.supervised import weight_penalty

Batch = Sequence[Tensor]
NOISES = ["gaussian", "masking", "salt_and_pepper"]
MAX_DEVIATION = 10.0
"""Of Gaussian noise on pixels, which lie in [0, 1]."""


class Autoencoder(ImageAutoencoder):
    """Autoencoder of images in [0, 1]; with noise, a denoising one (Vincent et al. 2010, JMLR 11:3371).

    Minimises the error between the clean image and the reconstruction of the corrupted one, summed over pixels and
    averaged over the batch, plus ``l1 * sum |w| + l2 / 2 * sum w^2`` over weight matrices and kernels. A batch is
    images (B, C, H, W), and labels (B,) if there are any, which only pictures use.

    To use other networks, override :meth:`build_encoder` or :meth:`build_decoder`.

    Args:
        noise: none | gaussian | masking | salt_and_pepper, added to the input only; the target stays clean.
        noise_level: Standard deviation (gaussian), or share of pixels (masking, salt_and_pepper).
        loss: mse | bce.
        l1: Factor of the L1 penalty on the weights.
        l2: Factor of the L2 penalty on the weights.
        shared: What :class:`nnzoo.modules.generative.ImageAutoencoder` takes.

    Raises:
        InputError: If a value is out of range, or the images are too small for the number of stages.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = {"noise_level": ("noise", NOISES)}

    def __init__(
        self,
        *,
        noise: Noise = "none",
        noise_level: float = 0.3,
        loss: ReconstructionLoss = "mse",
        l1: float = 0.0,
        l2: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.means = StageMeans({stage: ["loss"] for stage in STAGES})
        self.val_images = image_metrics(self.hparams["in_shape"]).clone(prefix="val/")
        self.test_images = image_metrics(self.hparams["in_shape"]).clone(prefix="test/")

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        if min(hparams["l1"], hparams["l2"], hparams["noise_level"]) < 0:
            raise InputError("l1, l2 and noise_level must not be negative.")
        if hparams["noise"] in ("masking", "salt_and_pepper") and hparams["noise_level"] > 1:
            raise InputError(
                f"noise_level is a share of pixels for {hparams['noise']} noise: at most 1, got "
                f"{hparams['noise_level']}."
            )
        if hparams["noise"] == "gaussian" and hparams["noise_level"] > MAX_DEVIATION:
            raise InputError(
                f"noise_level {hparams['noise_level']} leaves nothing of pixels that lie in [0, 1]: set "
                f"--model.noise_level to {MAX_DEVIATION} or less."
            )

    def corrupt(self, images: Tensor, generator: Source = None) -> Tensor:
        """Adds the configured noise to clean images."""
        return corrupt(images, self.hparams["noise"], self.hparams["noise_level"], generator)

    def corrupt_for_evaluation(self, images: Tensor, batch_idx: int) -> Tensor:
        """Adds the noise that validation and test add to the batch of that number, the same every time."""
        return self.corrupt(images, self.evaluation_noise(batch_idx, len(images)))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch (images, labels) plus the weight penalty."""
        images = self._checked(batch, batch_idx)
        errors = reconstruction_error(images, self.logits(self.corrupt(images)), self.hparams["loss"])
        self.means.update("train", {"loss": errors})
        l1, l2 = self.hparams["l1"], self.hparams["l2"]
        loss = errors.mean()
        return loss + weight_penalty(self, l1, l2) if l1 or l2 else loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the reconstruction error and the image metrics."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the reconstruction error and the image metrics."""
        self._evaluate("test", batch, batch_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Reconstructions of a batch and their errors as anomaly scores."""
        images, _ = images_and_labels(batch)
        reconstruction = self(images)
        return {"reconstruction": reconstruction, "anomaly_score": squared_error(images, reconstruction)}

    def prediction_columns(self, predictions: Sequence[dict[str, Tensor]], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The anomaly score of each image."""
        return {"anomaly_score": torch.cat([batch["anomaly_score"] for batch in predictions]).numpy()}

    def _evaluate(self, stage: str, batch: Batch, batch_idx: int) -> None:
        images = self._checked(batch, batch_idx)
        logits = self.logits(self.corrupt_for_evaluation(images, batch_idx))
        self.means.update(stage, {"loss": reconstruction_error(images, logits, self.hparams["loss"])})
        metrics = self.val_images if stage == "val" else self.test_images
        metrics.update(torch.sigmoid(logits), images)

    def _checked(self, batch: Batch, batch_idx: int) -> Tensor:
        images, _ = images_and_labels(batch)
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            check_images(images, self.hparams["in_shape"])
        return images

    def log_stage(self, stage: str) -> None:
        """Logs the mean error, and the image metrics of validation and test."""
        super().log_stage(stage)
        if stage != "train":
            self.log_dict(self.val_images if stage == "val" else self.test_images)

    def logits(self, images: Tensor) -> Tensor:
        """The decoder's output (B, C, H, W) before the sigmoid."""
        return at_least_float32(self.decoder(self.encoder(images)))

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, L) of images (B, C, H, W), which may be noisy; labels are ignored."""
        return self.encoder(images)

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) of codes (B, L); labels are ignored."""
        return torch.sigmoid(at_least_float32(self.decoder(codes)))

    def reconstruction_rows(self, images: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Original and reconstruction, and between them what the network sees if that is noisy."""
        if self.hparams["noise"] == "none":
            return super().reconstruction_rows(images, labels)
        inputs = self.corrupt_for_evaluation(images, batch_idx=0)
        return {"original": images, "input": inputs, "reconstruction": self.reconstruct(inputs)}

    @torch.no_grad()
    def anomaly_score(self, images: Tensor) -> Tensor:
        """Mean squared reconstruction error per image (B,): high for images unlike the training data."""
        return squared_error(images, self(images))


def squared_error(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Mean squared error per image (B,)."""
    return (reconstructions - images).square().flatten(1).mean(dim=1)
