"""SequenceGenerator: from a vector to a series."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.errors import InputError
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.base import ZooModule
from nnzoo.modules.checks import check_images, check_precision
from nnzoo.modules.classifier import class_columns
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.modules.generative import samples_figure
from nnzoo.nets.layers import checked_labels
from nnzoo.nets.likelihoods import bits_per_dim, build_likelihood
from nnzoo.nets.noise import Source, uniform
from nnzoo.nets.rnn import Cell
from nnzoo.nets.sequence_generator import SequenceGenerator as GeneratorNet

Batch = tuple[Tensor, Tensor]


class SequenceGenerator(ZooModule):
    """Generates images row by row from their class, by a recurrent network: p(x | y) = prod_h p(row_h | rows above, y).

    Minimises the negative log-likelihood in nats, summed over all values and averaged over the batch, with the true
    rows as inputs (teacher forcing). :meth:`sample` feeds back the rows it draws. Validation and test add bits per
    dimension, and the test the accuracy of the generator as a classifier: by Bayes' rule with equally frequent classes
    the class is the one under which the image is most likely.

    To use another network, override :meth:`build_net`.

    Args:
        in_shape: (C, H, W) of the images (the command line takes it from the data).
        levels: Number of grey levels of the images (the command line takes it from the data).
        num_classes: Number of classes (the command line takes it from the data).
        hidden_size: Units of each recurrent layer.
        num_layers: Recurrent layers.
        cell: rnn | lstm | gru.
        dropout: Share of values dropped between layers and before the output.
        likelihood: gaussian (a density; images are dequantised) | discretized_logistic (grey levels).
        input_noise: Standard deviation of noise on the rows that the network reads in training, so that it gets used to
            its own imperfect rows.
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.

    Raises:
        InputError: If a value is out of range, or the data have no classes.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, int, int] = (1, 8, 8),
        levels: int = 17,
        num_classes: int = 10,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: Cell = "lstm",
        dropout: float = 0.0,
        likelihood: Literal["gaussian", "discretized_logistic"] = "discretized_logistic",
        input_noise: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.likelihood = build_likelihood(likelihood, levels)
        self.net = self.build_net()
        measured = ["loss", "bits_per_dim"]
        self.means = StageMeans({"train": measured, "val": measured, "test": [*measured, "accuracy"]})

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        if hparams["num_classes"] < 1:
            raise InputError("The generator starts from a class: use data with labels, such as a folder of folders.")
        if hparams["levels"] < 3:
            raise InputError("The generator needs grey levels: set --data.binarize none.")
        if hparams["input_noise"] < 0:
            raise InputError(f"input_noise must not be negative, got {hparams['input_noise']}.")

    def setup(self, stage: str) -> None:
        """Raises InputError if the trainer's precision would change the images."""
        super().setup(stage)
        check_precision(self.trainer)

    def build_net(self) -> GeneratorNet:
        """A network with the methods of :class:`nnzoo.nets.sequence_generator.SequenceGenerator`."""
        hparams = self.hparams
        return GeneratorNet(
            hparams["in_shape"],
            self.num_conditions,
            self.likelihood.params_per_channel,
            hparams["hidden_size"],
            hparams["num_layers"],
            hparams["cell"],
            hparams["dropout"],
        )

    @property
    def num_conditions(self) -> int:
        """Number of classes."""
        return self.hparams["num_classes"]

    def vectors(self, labels: Tensor) -> Tensor:
        """What the series of classes (B,) start from: one-hot vectors (B, K)."""
        return F.one_hot(labels, self.num_conditions).to(self.dtype)

    def log_likelihood(self, images: Tensor, labels: Tensor, generator: Source = None) -> Tensor:
        """Log p(image | class) (B,), in nats; a density of the image with uniform noise of one level for ``gaussian``.

        Args:
            images: (B, C, H, W).
            labels: Classes (B,).
            generator: Source of that noise.
        """
        if self.likelihood.is_density:
            noise = uniform(images.shape, images, generator, -0.5, 0.5)
            images = images + noise / (self.hparams["levels"] - 1)
        read = images
        if self.training and self.hparams["input_noise"]:
            read = images + torch.empty_like(images).normal_() * self.hparams["input_noise"]
        return self.likelihood.log_prob(images, self.net(read, self.vectors(labels)))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean negative log-likelihood of a batch (images, labels)."""
        return self._measured("train", batch, batch_idx).mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the negative log-likelihood."""
        self._measured("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the negative log-likelihood, and how often the true class is the most likely one."""
        self._measured("test", batch, batch_idx)
        images, labels = batch
        self.means.update("test", {"accuracy": (self(images).argmax(dim=1) == labels).float()})

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Probabilities of the classes (B, K)."""
        return self(batch[0])

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The most probable class of each image, and the probability of each."""
        return class_columns(torch.cat(list(predictions)), facts.get("classes", ()))

    def _measured(self, stage: str, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            check_images(images, self.hparams["in_shape"])
            checked_labels(labels.cpu(), self.num_conditions)
        generator = None if stage == "train" else self.evaluation_noise(batch_idx, len(images))
        losses = -self.log_likelihood(images, labels, generator)
        bits = bits_per_dim(losses, math.prod(self.hparams["in_shape"]), self.likelihood)
        self.means.update(stage, {"loss": losses, "bits_per_dim": bits})
        return losses

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities of the classes (B, K) of images, by Bayes' rule with equally frequent classes."""
        log_likelihoods = []
        for label in range(self.num_conditions):
            labels = torch.full((len(images),), label, device=images.device)
            params = self.net(images, self.vectors(labels))
            log_likelihoods.append(self.likelihood.log_prob(images, params))
        return torch.stack(log_likelihoods, dim=1).softmax(dim=1)

    @in_evaluation
    def sample(
        self,
        num_samples: int,
        labels: Tensor | None = None,
        mean: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images (num_samples, C, H, W), row by row, each row from those drawn before it.

        Args:
            num_samples: Number of images.
            labels: Their classes (num_samples,); all classes in turn if not given.
            mean: Take each row's most typical values instead of drawing them: one image per class.
            generator: Source of the noise, on the model's device.
        """
        if labels is None:
            labels = torch.arange(num_samples, device=self.device) % self.num_conditions
        if len(labels) != num_samples:
            raise InputError(f"{num_samples} samples need as many labels, got {len(labels)}.")
        vectors = self.vectors(checked_labels(labels, self.num_conditions))
        if mean:
            return self.net.generate(vectors, self.likelihood.mean)
        return self.net.generate(vectors, lambda params: self.likelihood.sample(params, generator))

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Drawn images of each class."""
        return {"samples": samples_figure(self, self.num_conditions, facts)}
