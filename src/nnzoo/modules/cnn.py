"""The convolutional image classifier."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy
from torchvision.transforms import v2

from nnzoo.data.facts import datamodule_of
from nnzoo.errors import InputError
from nnzoo.modules.checks import check_images
from nnzoo.modules.classifier import Classifier
from nnzoo.modules.evaluating import evaluating
from nnzoo.modules.supervised import Batch
from nnzoo.nets.cnn import Norm, Padding, PlainCNN, Pooling
from nnzoo.nets.densenet import DenseNetBC
from nnzoo.nets.grad_cam import grad_cam
from nnzoo.nets.inception import SmallInception
from nnzoo.nets.layers import Activation
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.resnet import CIFARResNet
from nnzoo.nets.torchvision import TorchvisionClassifier, pretrained_normalization, pretrained_weights
from nnzoo.nets.views import Views, mean_over_views
from nnzoo.plots.classified_images import class_name, heat_maps, kernels, worst_mistakes

Architecture = Literal["plain", "resnet", "densenet", "inception", "torchvision"]
Mix = Literal["none", "mixup", "cutmix", "both"]

PLAIN = ("channels", "convs_per_stage", "kernel_size", "stride", "padding", "pooling", "norm", "activation")
"""Hyperparameters of the plain network alone."""

AUXILIARY_WEIGHT = {"inception_v3": 0.4, "googlenet": 0.3}
"""Weights of the auxiliary heads' losses; googlenet's is that of its paper, arXiv:1409.4842."""


class CNNClassifier(Classifier):
    """Classifier of images in [0, 1] by a convolutional network; images are standardised inside the model.

    Loss: cross-entropy as in :class:`nnzoo.modules.classifier.Classifier`; networks with auxiliary heads add 0.4
    (inception_v3) or 0.3 (googlenet) times the cross-entropy of each. With mixup or cutmix the training loss is that of
    mixed images against mixed labels, and the training accuracy counts the label of the larger share.

    Pixel means and deviations come from the training data when fitting starts (the datamodule's ``channel_statistics``,
    or a pass over the loader; with pretrained weights, from these), and are kept in the checkpoint. To train another
    network, override :meth:`build_net`.

    Args:
        in_shape: (C, H, W) of the images (the command line takes it from the data).
        architecture: plain | resnet (CIFAR's, arXiv:1512.03385) | densenet (DenseNet-BC, arXiv:1608.06993) | inception
            (the small one of arXiv:1611.03530) | torchvision.
        channels: plain: channels of each stage.
        convs_per_stage: plain: convolutions in each stage.
        kernel_size: plain: side of the kernels.
        stride: plain: stride of each stage's first convolution.
        padding: plain: same | valid.
        pooling: plain: max | average | none, by 2 after each stage.
        norm: plain: batch | none.
        activation: plain: relu | leaky_relu | silu | gelu | tanh.
        dropout: Probability of dropping a feature before the last layer (not for torchvision, which has its own).
        depth: Layers: 6n + 2 for resnet (default 20), 6n + 4 for densenet (default 100).
        growth: densenet: channels that each layer adds.
        torchvision_name: torchvision: name of the network, such as resnet18.
        pretrained: torchvision: start from its default weights, trained on ImageNet.
        standardize: Whether to give the network (pixel - mean) / deviation, per channel, instead of the pixel.
        mix: none | mixup (arXiv:1710.09412) | cutmix (arXiv:1905.04899) | both (one of the two for each batch).
        mix_alpha: The share of an image is drawn for each batch from Beta(alpha, alpha).
        views: Also report test/accuracy_tta, of the mean probabilities over views of each image: none | flip (left to
            right) | shift (by a pixel in four directions) | flip_shift.
        shared: What :class:`nnzoo.modules.classifier.Classifier` takes.

    Raises:
        InputError: If a value is out of range, or the images do not suit the network.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    initialized: Tensor
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = {
        **dict.fromkeys(PLAIN, ("architecture", ["plain"])),
        "dropout": ("architecture", ["plain", "resnet", "densenet", "inception"]),
        "depth": ("architecture", ["resnet", "densenet"]),
        "growth": ("architecture", ["densenet"]),
        "torchvision_name": ("architecture", ["torchvision"]),
        "pretrained": ("architecture", ["torchvision"]),
        "mix_alpha": ("mix", ["mixup", "cutmix", "both"]),
    }

    def __init__(
        self,
        *,
        in_shape: tuple[int, int, int] = (1, 28, 28),
        architecture: Architecture = "plain",
        channels: Sequence[int] = (32, 64),
        convs_per_stage: int = 2,
        kernel_size: int = 3,
        stride: int = 1,
        padding: Padding = "same",
        pooling: Pooling = "max",
        norm: Norm = "batch",
        activation: Activation = "relu",
        dropout: float = 0.0,
        depth: int | None = None,
        growth: int = 12,
        torchvision_name: str = "resnet18",
        pretrained: bool = False,
        standardize: bool = True,
        mix: Mix = "none",
        mix_alpha: float = 1.0,
        views: Views = "none",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.net.to(memory_format=torch.channels_last)  # 1.2 times as fast on a CPU; tensor cores take it too
        # Pretrained networks see three channels, in grey images too.
        self.register_buffer("pixel_mean", torch.zeros(3 if pretrained else in_shape[0], 1, 1))
        self.register_buffer("pixel_std", torch.ones_like(self.pixel_mean))
        self.register_buffer("initialized", torch.tensor(False))
        num_classes = self.hparams["num_classes"]
        if views != "none":
            self.accuracy_tta = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        mixes = {"mixup": v2.MixUp(alpha=mix_alpha, num_classes=num_classes)}
        mixes["cutmix"] = v2.CutMix(alpha=mix_alpha, num_classes=num_classes)
        mixes["both"] = v2.RandomChoice(list(mixes.values()))
        self.mix = mixes.get(mix)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        dropout, mix_alpha = self.hparams["dropout"], self.hparams["mix_alpha"]
        if not 0 <= dropout < 1:
            raise InputError(f"dropout goes from 0 to below 1, got {dropout}: set --model.dropout.")
        if not mix_alpha > 0:
            raise InputError(f"mix_alpha must be above 0, got {mix_alpha}: for no mixing set --model.mix none.")

    def build_net(self) -> nn.Module:
        """A network from standardised images (B, C, H, W) to logits (B, K)."""
        hparams = self.hparams
        shapes = hparams["in_shape"], hparams["num_classes"]
        architecture, dropout, depth = hparams["architecture"], hparams["dropout"], hparams["depth"]
        if architecture == "torchvision":
            return TorchvisionClassifier(*shapes, hparams["torchvision_name"], hparams["pretrained"])
        if architecture == "resnet":
            return CIFARResNet(*shapes, 20 if depth is None else depth, dropout)
        if architecture == "densenet":
            return DenseNetBC(*shapes, 100 if depth is None else depth, hparams["growth"], dropout)
        if architecture == "inception":
            return SmallInception(*shapes, dropout)
        return PlainCNN(*shapes, **{name: hparams[name] for name in PLAIN}, dropout=dropout)

    @property
    def backbone(self) -> nn.Module:
        """All of the network but its head, for Lightning's ``BackboneFinetuning``."""
        return self.net.backbone  # type: ignore[return-value]

    def on_fit_start(self) -> None:
        """Takes the pixels' mean and deviation, and the pretrained weights.

        A model that goes on, here or from a checkpoint, keeps what it has learned and its view of the pixels.
        """
        if self.initialized:
            return
        if self.hparams["standardize"]:
            mean, std = self._pixel_statistics()
            self.pixel_mean.copy_(mean[:, None, None])
            self.pixel_std.copy_(torch.where(std > 0, std, 1.0)[:, None, None])  # what never varies is only centred
        if self.hparams["pretrained"]:
            if self.local_rank == 0:  # once per machine
                pretrained_weights(self.hparams["torchvision_name"])
            self.trainer.strategy.barrier()
            self.net.load_pretrained()  # type: ignore[operator]
        self.initialized.fill_(True)

    def _pixel_statistics(self) -> tuple[Tensor, Tensor]:
        if self.hparams["pretrained"]:
            return pretrained_normalization(self.hparams["torchvision_name"])
        data = datamodule_of(self.trainer)
        if hasattr(data, "channel_statistics"):
            return data.channel_statistics
        self.trainer.fit_loop.setup_data()  # done already when Lightning gets there
        return channel_statistics(batch[0] for batch in self.trainer.train_dataloader or ())

    def outputs(self, *inputs: Tensor) -> Tensor:
        """The network's logits (B, K) of images in [0, 1]; in training (B, 1 + A, K) with A auxiliary heads."""
        (images,) = inputs
        return self.net((images - self.pixel_mean) / self.pixel_std)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy (B,), with those of the auxiliary heads."""
        if outputs.dim() == 2:
            return super().loss(outputs, target)
        first, *further = outputs.unbind(dim=1)
        weight = AUXILIARY_WEIGHT[self.hparams["torchvision_name"]]
        losses = [super(CNNClassifier, self).loss(logits, target) for logits in further]
        return super().loss(first, target) + weight * torch.stack(losses).sum(dim=0)

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B, K) and classes (B,)."""
        return super().measured(outputs if outputs.dim() == 2 else outputs[:, 0], target)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch, its images mixed if so configured."""
        if batch_idx == 0:
            self.check_batch(batch)
        if self.mix is not None and self.training:
            batch = self.mix(*batch)
        return super().training_step(batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and metrics, with test-time augmentation apart."""
        super().test_step(batch, batch_idx)
        if self.hparams["views"] != "none":
            self.accuracy_tta.update(mean_over_views(self, batch[0], self.hparams["views"]), batch[-1])

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss and the metrics."""
        super().log_stage(stage)
        if stage == "test" and self.hparams["views"] != "none":
            self.log("test/accuracy_tta", self.accuracy_tta)

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a label is not a class, or images are not in [0, 1] or of another shape."""
        super().check_batch(batch)
        check_images(batch[0], self.hparams["in_shape"])

    def logits(self, *inputs: Tensor) -> Tensor:
        """Scores (B, K) before the softmax."""
        outputs = at_least_float32(self.outputs(*inputs))
        return outputs if outputs.dim() == 2 else outputs[:, 0]

    def grad_cam(self, images: Tensor, classes: Tensor | None = None) -> Tensor:
        """Grad-CAM heat maps (B, H, W) of images, for the given or the predicted classes (B,).

        Raises:
            InputError: If the network has no last convolution to look at.
        """
        layer = getattr(self.net, "cam_layer", None)
        if layer is None:
            raise InputError("Grad-CAM needs a network with a cam_layer, its last convolutional layer.")
        with evaluating(self):
            if classes is None:
                classes = self(images).argmax(dim=1)
            return grad_cam(self.logits, layer, images, classes)

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """The confusion matrix, the worst mistakes, the first layer's kernels, and heat maps."""
        figures = super().figures(batch, facts)
        classes = facts.get("classes", ())
        images, labels = batch
        probabilities = torch.cat([self(part) for part in images.split(256)])
        predicted = probabilities.argmax(dim=1)
        wrong = (predicted != labels).nonzero()[:, 0]
        worst = wrong[probabilities[wrong, labels[wrong]].argsort()[:15]]
        if len(worst):
            chosen = images[worst], labels[worst], probabilities[worst]
            figures["worst_mistakes"] = worst_mistakes(*chosen, classes)
        first = next((layer for layer in self.net.modules() if isinstance(layer, nn.Conv2d)), None)
        if first is not None:
            figures["first_layer"] = kernels(first.weight)
        if getattr(self.net, "cam_layer", None) is not None:
            heat = self.grad_cam(images[:10], predicted[:10])
            names = [class_name(int(k), classes) for k in predicted[:10]]
            figures["grad_cam"] = heat_maps(images[:10], heat, names)
        return figures


def channel_statistics(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,) of the pixels of all images (B, C, H, W), per channel."""
    count, sums, squares = 0, torch.zeros(()), torch.zeros(())
    for images in batches:
        pixels = images.double().transpose(0, 1).flatten(1)
        count += pixels.shape[1]
        sums = sums + pixels.sum(dim=1)
        squares = squares + pixels.square().sum(dim=1)
    mean = sums / count
    return mean.float(), (squares / count - mean.square()).clamp(min=0).sqrt().float()
