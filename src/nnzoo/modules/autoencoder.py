"""The autoencoder, plain or denoising."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.images import image_metrics
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.base import ZooModule
from nnzoo.modules.checks import check_images
from nnzoo.modules.optimizers import Schedule, check_hyperparameters
from nnzoo.nets.autoencoder import Noise, ReconstructionLoss, corrupt, reconstruction_error
from nnzoo.nets.encoder_decoder import Architecture, Decoder, Encoder, Upsampling, line_between
from nnzoo.nets.layers import Activation
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.supervised import weight_penalty

Batch = tuple[Tensor, Tensor]


class Autoencoder(ZooModule):
    """Autoencoder of images in [0, 1]; with noise, a denoising one (Vincent et al. 2010, JMLR 11:3371).

    Minimises the error between the clean image and the reconstruction of the corrupted one, summed over pixels and
    averaged over the batch, plus ``weight_l1 * sum |w| + weight_l2 / 2 * sum w^2`` over weight matrices and kernels.

    To use other networks, override :meth:`build_encoder` or :meth:`build_decoder`.

    Args:
        in_shape: (C, H, W) of the images (the command line takes it from the data).
        latent_dim: Length of the code, L.
        architecture: mlp | conv.
        hidden: Layer widths (mlp) or channels of stride-2 stages (conv), from the image inwards.
        activation: relu | leaky_relu | silu | gelu | tanh.
        upsampling: transposed convolutions, or nearest-neighbour upsampling and a convolution (only for conv).
        noise: none | gaussian | masking | salt_and_pepper, added to the input only; the target stays clean.
        noise_level: Standard deviation (gaussian), or share of pixels (masking, salt_and_pepper).
        loss: mse | bce.
        weight_l1: Factor of the L1 penalty on the weights.
        weight_l2: Factor of the L2 penalty on the weights.
        lr: Learning rate of AdamW.
        weight_decay: Decoupled weight decay, not applied to biases.
        lr_schedule: constant | cosine | linear | multistep (/10 at half and at three quarters of all steps).
        lr_warmup: Share of all steps during which the learning rate rises from 0.

    Raises:
        InputError: If a value is out of range, or the images are too small for the number of stages.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, int, int] = (1, 28, 28),
        latent_dim: int = 16,
        architecture: Architecture = "mlp",
        hidden: Sequence[int] = (256, 256),
        activation: Activation = "relu",
        upsampling: Upsampling = "transposed",
        noise: Noise = "none",
        noise_level: float = 0.3,
        loss: ReconstructionLoss = "mse",
        weight_l1: float = 0.0,
        weight_l2: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: Schedule = "constant",
        lr_warmup: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_sizes(latent_dim=latent_dim)
        check_hyperparameters(self)
        if min(weight_l1, weight_l2, noise_level) < 0:
            raise InputError("weight_l1, weight_l2 and noise_level must not be negative.")
        if noise in ("masking", "salt_and_pepper") and noise_level > 1:
            raise InputError(f"noise_level is a share of pixels for {noise} noise: at most 1, got {noise_level}.")
        self.encoder = self.build_encoder()
        self.decoder = self.build_decoder()
        self.means = StageMeans({"train": ["loss"], "val": ["loss"], "test": ["loss"]})
        self.val_images = image_metrics(in_shape).clone(prefix="val/")
        self.test_images = image_metrics(in_shape).clone(prefix="test/")

    def build_encoder(self) -> nn.Module:
        """A network from images (B, C, H, W) to codes (B, L)."""
        hparams = self.hparams
        return Encoder(
            hparams["in_shape"],
            hparams["latent_dim"],
            hparams["architecture"],
            hparams["hidden"],
            hparams["activation"],
        )

    def build_decoder(self) -> nn.Module:
        """A network from codes (B, L) to logits (B, C, H, W)."""
        hparams = self.hparams
        return Decoder(
            hparams["in_shape"],
            hparams["latent_dim"],
            hparams["architecture"],
            hparams["hidden"],
            hparams["activation"],
            hparams["upsampling"],
        )

    def corrupt(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Adds the configured noise to clean images."""
        return corrupt(images, self.hparams["noise"], self.hparams["noise_level"], generator)

    def corrupt_for_evaluation(self, images: Tensor, batch_idx: int) -> Tensor:
        """Adds the noise that validation and test add to the batch of that number, the same every time."""
        return self.corrupt(images, self.evaluation_generator(batch_idx))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch (images, labels) plus the weight penalty."""
        images = self._checked(batch, batch_idx)
        errors = reconstruction_error(images, self.logits(self.corrupt(images)), self.hparams["loss"])
        self.means.update("train", {"loss": errors})
        l1, l2 = self.hparams["weight_l1"], self.hparams["weight_l2"]
        return errors.mean() + (weight_penalty(self, l1, l2) if l1 or l2 else 0.0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the reconstruction error and the image metrics."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the reconstruction error and the image metrics."""
        self._evaluate("test", batch, batch_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Reconstructions of a batch and their errors as anomaly scores."""
        images, _ = batch
        reconstruction = self(images)
        return {"reconstruction": reconstruction, "anomaly_score": squared_error(images, reconstruction)}

    def prediction_columns(self, predictions: Sequence[dict[str, Tensor]], classes: Sequence[str]) -> dict[str, Any]:
        """The anomaly score of each image."""
        return {"anomaly_score": torch.cat([batch["anomaly_score"] for batch in predictions]).numpy()}

    def _evaluate(self, stage: str, batch: Batch, batch_idx: int) -> None:
        images = self._checked(batch, batch_idx)
        logits = self.logits(self.corrupt_for_evaluation(images, batch_idx))
        self.means.update(stage, {"loss": reconstruction_error(images, logits, self.hparams["loss"])})
        metrics = self.val_images if stage == "val" else self.test_images
        metrics.update(torch.sigmoid(logits), images)

    def _checked(self, batch: Batch, batch_idx: int) -> Tensor:
        images, _ = batch
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

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructs images (B, C, H, W), which may be noisy."""
        return self.reconstruct(images)

    def encode(self, images: Tensor) -> Tensor:
        """Codes (B, L) of images."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) of codes (B, L)."""
        return torch.sigmoid(at_least_float32(self.decoder(codes)))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Decodes the codes of images."""
        return self.decode(self.encode(images))

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, steps: int = 8) -> Tensor:
        """Decodes ``steps`` codes on the straight lines between the codes of two batches: (B, steps, C, H, W)."""
        codes = line_between(self.encode(first), self.encode(second), steps)
        return self.decode(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    @torch.no_grad()
    def anomaly_score(self, images: Tensor) -> Tensor:
        """Mean squared reconstruction error per image (B,): high for images unlike the training data."""
        return squared_error(images, self(images))


def squared_error(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Mean squared error per image (B,)."""
    return (reconstructions - images).square().flatten(1).mean(dim=1)
