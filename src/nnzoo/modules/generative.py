"""What modules of images share that draw, encode or decode them: hyperparameters, interpolation, pictures."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from nnzoo.errors import check_sizes
from nnzoo.modules.base import ZooModule
from nnzoo.nets.encoder_decoder import Architecture, Decoder, Encoder, Upsampling, line_between
from nnzoo.nets.layers import Activation
from nnzoo.plots.images import image_grid, image_rows, short_names
from nnzoo.plots.latent import latent_space

GRID = 10
"""Images in a row of a picture."""


class ImageAutoencoder(ZooModule):
    """A module with an encoder from images to codes and a decoder back.

    To use other networks, override :meth:`build_encoder` or :meth:`build_decoder`.

    Args:
        in_shape: (C, H, W) of the images (the command line takes it from the data).
        latent_dim: Length of the code, L.
        architecture: mlp | conv.
        hidden: Layer widths (mlp) or channels of stride-2 stages (conv), from the image inwards.
        activation: relu | leaky_relu | silu | gelu | tanh.
        upsampling: transposed convolutions, or nearest-neighbour upsampling and a convolution (only for conv).
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.

    Raises:
        InputError: If a value is out of range, or the images are too small for the number of stages.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = {"upsampling": ("architecture", ["conv"])}
    params_per_code = 1
    """Values that the encoder gives for each entry of a code."""

    def __init__(
        self,
        *,
        in_shape: tuple[int, int, int] = (1, 28, 28),
        latent_dim: int = 16,
        architecture: Architecture = "mlp",
        hidden: Sequence[int] = (256, 256),
        activation: Activation = "relu",
        upsampling: Upsampling = "transposed",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.encoder = self.build_encoder()
        self.decoder = self.build_decoder()

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        check_sizes(latent_dim=self.hparams["latent_dim"])

    @property
    def params_per_channel(self) -> int:
        """Values that the decoder gives for each channel of a pixel."""
        return 1

    @property
    def num_conditions(self) -> int:
        """Number of classes the networks are conditioned on; 0 for none."""
        return 0

    def build_encoder(self) -> nn.Module:
        """A network from images (B, C, H, W), and labels where there are conditions, to (B, params_per_code L)."""
        hparams = self.hparams
        settings = {name: hparams[name] for name in ("in_shape", "architecture", "hidden", "activation")}
        size = self.params_per_code * hparams["latent_dim"]
        return Encoder(out_features=size, num_classes=self.num_conditions, **settings)

    def build_decoder(self) -> nn.Module:
        """A network from codes (B, L), and labels where there are conditions, to (B, params_per_channel C, H, W)."""
        hparams = self.hparams
        channels, *size = hparams["in_shape"]
        shape = (channels * self.params_per_channel, *size)
        settings = {name: hparams[name] for name in ("architecture", "hidden", "activation", "upsampling")}
        return Decoder(shape, hparams["latent_dim"], num_classes=self.num_conditions, **settings)

    @abstractmethod
    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes (B, L) of images (B, C, H, W)."""

    @abstractmethod
    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) of codes (B, L)."""

    def reconstruct(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Decodes the codes of images."""
        return self.decode(self.encode(images, labels), labels)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Reconstructs images (B, C, H, W)."""
        return self.reconstruct(images, labels)

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, steps: int = 8, labels: Tensor | None = None) -> Tensor:
        """Decodes ``steps`` codes on the straight lines between the codes of two batches: (B, steps, C, H, W)."""
        codes = line_between(self.encode(first, labels), self.encode(second, labels), steps)
        repeated = None if labels is None else labels.repeat_interleave(steps)
        return self.decode(codes.flatten(0, 1), repeated).unflatten(0, codes.shape[:2])

    def figures(self, batch: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Reconstructions, the codes of the images, and what lies between two of them."""
        images, labels = images_and_labels(batch)
        images = images.to(self.dtype)
        given = labels if self.num_conditions else None
        rows = self.reconstruction_rows(images[:GRID], None if given is None else given[:GRID])
        figures = {"reconstructions": image_rows(rows, "reconstructions")}
        if len(images) > 2:
            shown = torch.zeros(len(images)) if labels is None else labels
            codes = self.encode(images, given)
            figures["latent_space"] = latent_space(codes, shown, facts.get("classes", ()), "codes of held-out images")
        if len(images) >= 8:
            ends = images[:4], images[4:8]
            between = self.interpolate(*ends, GRID, None if given is None else given[:4])
            grid = torch.cat([ends[0][:, None], between, ends[1][:, None]], dim=1).flatten(0, 1)
            title = "original | decoded, from its code to that of the other | original"
            figures["interpolation"] = image_grid(grid, title, GRID + 2)
        return figures

    def reconstruction_rows(self, images: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Rows of the picture of reconstructions by their names."""
        return {"original": images, "reconstruction": self.reconstruct(images, labels)}


def images_and_labels(batch: Sequence[Tensor] | Tensor) -> tuple[Tensor, Tensor | None]:
    """Images and labels of a batch (images, labels), or of images alone."""
    if isinstance(batch, Tensor):
        return batch, None
    return batch[0], batch[1] if len(batch) > 1 else None


def samples_figure(module: Any, num_conditions: int, facts: Mapping[str, Any]) -> Figure:
    """Images that a module's ``sample`` draws with a seed of the picture's own: a grid, or a row for each class."""
    generator = torch.Generator(module.device).manual_seed(0)
    if not num_conditions:
        return image_grid(module.sample(GRID**2, generator=generator), "samples", GRID)
    shown = torch.arange(min(num_conditions, 20), device=module.device)
    images = module.sample(len(shown) * GRID, shown.repeat_interleave(GRID), generator=generator)
    names = facts.get("classes") or [str(number) for number in range(num_conditions)]
    rows = zip(short_names(names), images.unflatten(0, (len(shown), GRID)), strict=False)
    return image_rows(dict(rows), "samples of each class")


def manifold(module: ImageAutoencoder, side: int = 20) -> Tensor:
    """Decoded images of a grid over the 2-d prior, evenly spaced in probability (inverse Gaussian CDF)."""
    steps = torch.special.ndtri(torch.linspace(0.02, 0.98, side)).to(module.device, module.dtype)
    vertical, horizontal = torch.meshgrid(steps.flip(0), steps, indexing="ij")
    return module.decode(torch.stack([horizontal.flatten(), vertical.flatten()], dim=1))
