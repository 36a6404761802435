"""The variational autoencoder, with its importance-weighted bound."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.checks import check_images, check_precision
from nnzoo.modules.generative import ImageAutoencoder, images_and_labels, manifold, samples_figure
from nnzoo.nets.layers import checked_labels
from nnzoo.nets.likelihoods import Likelihood, LikelihoodName, bits_per_dim, build_likelihood
from nnzoo.nets.noise import Source, uniform
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.vae import (
    LOG_VAR_RANGE,
    elbo_terms,
    gaussian_kl,
    importance_bound,
    iwae_terms,
    log_posterior,
    log_standard_normal,
    reparameterize,
)
from nnzoo.plots.images import image_grid

Batch = Sequence[Tensor]
MAX_DECODED_VALUES = 2**23
"""Largest number of decoded values held at once while a log-likelihood is estimated (32 MiB in float32)."""

DRAWN_AT_ONCE = 100
"""Codes of an image that are drawn together, whatever the size of the batch, so that their noise is the same."""


class VAE(ImageAutoencoder):
    """Variational autoencoder (Kingma & Welling 2013, arXiv:1312.6114) of images in [0, 1].

    Minimises ``alpha_rec * rec + beta * KL`` with rec = -E_q log p(x|z) and KL = KL(q(z|x) || N(0, I)): both in nats,
    summed over pixels and latent dimensions, averaged over the batch. With both factors 1 this is the negative ELBO.
    With ``num_importance_samples`` K > 1 it maximises the IWAE bound log (1/K) sum_k w_k (arXiv:1509.00519) instead.

    To use other networks, override :meth:`build_encoder` or :meth:`build_decoder`.

    Args:
        levels: Number of grey levels of the images (the command line takes it from the data).
        num_classes: Number of classes, needed if ``conditional`` (the command line takes it from the data).
        likelihood: bernoulli (binary images) | gaussian (learned mean and standard deviation per pixel; images are
            dequantised) | discretized_logistic (grey levels).
        conditional: Condition encoder and decoder on the class: p(x|y).
        alpha_rec: Factor on the reconstruction term.
        beta: Factor on the KL term (beta-VAE).
        kl_warmup_epochs: Epochs over which beta rises linearly from 0; evaluation always uses the full beta.
        free_bits: Nats per latent dimension below which the KL is not reduced further, in training only.
        num_importance_samples: K of the IWAE bound; 1 trains the ELBO with the analytic KL.
        num_nll_samples: Importance samples per image for the test's negative log-likelihood.
        max_nll_values: Estimate it on test images chosen at random where images times samples times values of an image
            are more than that; the table says so. 2**27 are 171 images of MNIST; null takes all images.
        shared: What :class:`nnzoo.modules.generative.ImageAutoencoder` takes.

    Raises:
        InputError: If a value is out of range, or the images are too small for the number of stages.
    """

    params_per_code = 2

    def __init__(
        self,
        *,
        levels: int = 256,
        num_classes: int = 0,
        likelihood: LikelihoodName = "discretized_logistic",
        conditional: bool = False,
        alpha_rec: float = 1.0,
        beta: float = 1.0,
        kl_warmup_epochs: float = 0.0,
        free_bits: float = 0.0,
        num_importance_samples: int = 1,
        num_nll_samples: int = 1000,
        max_nll_values: int | None = 2**27,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        losses = ["loss", "reconstruction", "kl"]
        evaluation = [*losses, "elbo"]
        test = [*evaluation, "nll", "bits_per_dim"]
        self.means = StageMeans({"train": losses, "val": evaluation, "test": test})

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(**{name: hparams[name] for name in ("num_importance_samples", "num_nll_samples")})
        if hparams["max_nll_values"] is not None:
            check_sizes(max_nll_values=hparams["max_nll_values"])
        if min(hparams[name] for name in ("alpha_rec", "beta", "kl_warmup_epochs", "free_bits")) < 0:
            raise InputError("alpha_rec, beta, kl_warmup_epochs and free_bits must not be negative.")
        if hparams["free_bits"] and hparams["num_importance_samples"] > 1:
            raise InputError("free_bits is defined for the ELBO only: set --model.num_importance_samples 1.")
        if hparams["conditional"] and hparams["num_classes"] < 1:
            raise InputError("conditional needs classes: use data with labels, such as a folder with class folders.")
        if hparams["levels"] < 2:
            raise InputError(f"levels is the number of grey levels, 2 or more, got {hparams['levels']}.")
        if hparams["levels"] == 2 and hparams["likelihood"] != "bernoulli":
            raise InputError("Binary images need --model.likelihood bernoulli.")

    def setup(self, stage: str) -> None:
        """Raises InputError if the trainer's precision would change the images."""
        super().setup(stage)
        check_precision(self.trainer)

    @cached_property
    def likelihood(self) -> Likelihood:
        """p(x|z)."""
        return build_likelihood(self.hparams["likelihood"], self.hparams["levels"])

    @property
    def params_per_channel(self) -> int:
        """Parameters of the likelihood for each channel of a pixel."""
        return self.likelihood.params_per_channel

    @property
    def num_conditions(self) -> int:
        """Number of classes the networks are conditioned on; 0 for none."""
        return self.hparams["num_classes"] if self.hparams["conditional"] else 0

    def posterior(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, L) of q(z|x); the log-variance is clamped to ``LOG_VAR_RANGE``."""
        mean, log_var = at_least_float32(self.encoder(images, labels)).chunk(2, dim=1)
        return mean, log_var.clamp(*LOG_VAR_RANGE)

    def params(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """The likelihood's parameters (B, n C, H, W) of codes (B, L), which are kept in float32 until here."""
        return self.decoder(codes.to(self.dtype), labels)

    def log_joint_terms(
        self, images: Tensor, codes: Tensor, mean: Tensor, log_var: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Log p(x|z) and log p(z) - log q(z|x) for codes (K, B, L): both (K, B)."""
        labels = None if labels is None else labels.repeat(len(codes))
        params = self.params(codes.flatten(0, 1), labels).unflatten(0, codes.shape[:2])
        return self.likelihood.log_prob(images, params), log_standard_normal(codes) - log_posterior(
            codes, mean, log_var
        )

    def loss_terms(self, images: Tensor, labels: Tensor | None = None, generator: Source = None) -> dict[str, Tensor]:
        """Per-sample loss, reconstruction term, KL and ELBO: each (B,), in nats.

        Warm-up and free bits shape the loss in training mode only.
        """
        hparams = self.hparams
        images = self._dequantized(images, generator)
        mean, log_var = self.posterior(images, labels)
        codes = reparameterize(mean, log_var, hparams["num_importance_samples"], generator)
        kl = gaussian_kl(mean, log_var)
        alpha, beta = hparams["alpha_rec"], hparams["beta"] * self.kl_warmup()
        if len(codes) == 1:
            log_px = self.likelihood.log_prob(images, self.params(codes[0], labels))
            return elbo_terms(log_px, kl, alpha, beta, hparams["free_bits"] if self.training else 0.0)
        log_px, log_ratio = self.log_joint_terms(images, codes, mean, log_var, labels)
        return iwae_terms(log_px, log_ratio, kl, alpha, beta)

    def kl_warmup(self) -> float:
        """The factor on beta: from 0 to 1 over ``kl_warmup_epochs`` in training, 1 otherwise."""
        epochs = self.hparams["kl_warmup_epochs"]
        if not self.training or epochs == 0 or self._trainer is None:
            return 1.0
        return min(1.0, self.batches_seen / (epochs * self.trainer.num_training_batches))

    def _dequantized(self, images: Tensor, generator: Source) -> Tensor:
        if not self.likelihood.is_density:
            return images
        noise = uniform(images.shape, images, generator, -0.5, 0.5)
        return images + noise / (self.hparams["levels"] - 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch (images, labels)."""
        terms = self._checked_terms(batch, batch_idx)
        self.means.update("train", terms)
        return terms["loss"].mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the loss and its terms, with the full beta."""
        self.means.update("val", self._checked_terms(batch, batch_idx, self._noise(batch, batch_idx)))

    @property
    def max_nll_images(self) -> float:
        """Number of test images whose likelihood is estimated: a matter of sizes alone, not of the time it takes."""
        most, work = (
            self.hparams["max_nll_values"],
            self.hparams["num_nll_samples"] * math.prod(self.hparams["in_shape"]),
        )
        return math.inf if most is None else max(1, most // work)

    def on_test_start(self) -> None:
        """Says in the table on how many images the likelihood is estimated, where these are not all."""
        tested, most = self.num_tested() or 0, self.max_nll_images
        self.metric_note = (
            f"nll and bits_per_dim: of {most:,} of {tested:,} test images, chosen at random; of all with "
            "--model.max_nll_values null"
            if most < tested
            else ""
        )

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the terms, the NLL by importance sampling (nats) and bits per dimension."""
        noise = self._noise(batch, batch_idx)
        self.means.update("test", self._checked_terms(batch, batch_idx, noise))
        images, labels = images_and_labels(batch)
        rows = self.tested_rows(batch_idx, len(images), self.max_nll_images)
        nll = images.new_empty(0)
        if len(rows):
            chosen = [noise[row] for row in rows.tolist()]
            nll = -self.log_likelihood(images[rows], None if labels is None else labels[rows], generator=chosen)
        self.means.update("test", {"nll": nll, "bits_per_dim": bits_per_dim(nll, images[0].numel(), self.likelihood)})

    def _noise(self, batch: Batch, batch_idx: int) -> list[torch.Generator]:
        return self.evaluation_noise(batch_idx, len(images_and_labels(batch)[0]))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Reconstructions of a batch (images, labels)."""
        return self(*images_and_labels(batch))

    def _checked_terms(self, batch: Batch, batch_idx: int, generator: Source = None) -> dict[str, Tensor]:
        images, labels = images_and_labels(batch)
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            check_images(images, self.hparams["in_shape"], binary=self.hparams["likelihood"] == "bernoulli")
            if self.num_conditions and labels is not None:
                checked_labels(labels.cpu(), self.num_conditions)
        return self.loss_terms(images, labels, generator)

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Posterior means (B, L) of images."""
        return self.posterior(images, labels)[0]

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) of codes (B, L): the mean of a Bernoulli, the location of the other likelihoods."""
        return self.likelihood.mean(self.params(codes, labels))

    @torch.no_grad()
    def sample(
        self,
        num_samples: int,
        labels: Tensor | None = None,
        mean: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws images (num_samples, C, H, W) from the model.

        Args:
            num_samples: Number of images.
            labels: Their classes (num_samples,) if the model is conditional; all classes in turn if not given.
            mean: Decode each code as :meth:`decode` does, instead of drawing from the likelihood.
            generator: Source of the noise, on the model's device.
        """
        codes = torch.empty(num_samples, self.hparams["latent_dim"], device=self.device).normal_(generator=generator)
        if self.num_conditions and labels is None:
            labels = torch.arange(num_samples, device=self.device) % self.num_conditions
        params = self.params(codes, labels)
        return self.likelihood.mean(params) if mean else self.likelihood.sample(params, generator)

    @torch.no_grad()
    def log_likelihood(
        self, images: Tensor, labels: Tensor | None = None, num_samples: int | None = None, generator: Source = None
    ) -> Tensor:
        """Importance-sampled log p(x) per image (B,), in nats: log (1/K) sum_k p(x, z_k) / q(z_k|x).

        A lower bound in expectation that tightens with K. Codes are decoded in chunks: memory hardly grows with K.

        Args:
            images: Images (B, C, H, W).
            labels: Their classes, if the model is conditional.
            num_samples: K; ``num_nll_samples`` if not given.
            generator: Source of the noise: on the model's device, or one on the CPU for each image.
        """
        num_samples = self.hparams["num_nll_samples"] if num_samples is None else num_samples
        check_sizes(num_samples=num_samples)
        images = self._dequantized(images, generator)
        mean, log_var = self.posterior(images, labels)
        chunk = max(1, MAX_DECODED_VALUES // (images.numel() * self.likelihood.params_per_channel))
        log_weights = []
        for start in range(0, num_samples, DRAWN_AT_ONCE):
            drawn = reparameterize(mean, log_var, min(DRAWN_AT_ONCE, num_samples - start), generator)
            for codes in drawn.split(chunk):
                log_px, log_ratio = self.log_joint_terms(images, codes, mean, log_var, labels)
                log_weights.append(log_px + log_ratio)
        return importance_bound(torch.cat(log_weights))

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Samples too, and of two latent dimensions what decodes where."""
        figures = {"samples": samples_figure(self, self.num_conditions, facts), **super().figures(batch, facts)}
        if self.hparams["latent_dim"] == 2 and not self.num_conditions:
            figures["manifold"] = image_grid(manifold(self), "decoded latent space", 20)
        return figures
