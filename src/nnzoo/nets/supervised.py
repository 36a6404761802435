"""Losses of supervised networks, per sample."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.nets.layers import is_decayed
from nnzoo.nets.precision import at_least_float32


def cross_entropy(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy per sample: (B,), in nats.

    -sum_k q_k log softmax(logits)_k with q = (1 - s) onehot(label) + s / K. A class weight multiplies the whole loss
    of its samples; the loss of a mixed sample is the mixture of its classes' losses, each with its own weight. So
    balanced weights balance mixed and smoothed labels too, which PyTorch's weights do not where labels are smoothed.
    Take the plain mean over the batch: PyTorch's weighted mean divides by the sum of the batch's weights instead, so
    that a sample's influence would depend on which others share its batch.

    Args:
        logits: (B, K).
        labels: Classes (B,), or probabilities (B, K) of mixed samples.
        label_smoothing: s, from 0 to below 1.
        class_weights: (K,).
    """
    logits = at_least_float32(logits)
    if class_weights is None:
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    if labels.dim() == 1:
        weights = class_weights.to(logits)[labels]
    else:  # the sample's weight is that of its classes, which then have their shares of it
        weighted = labels * class_weights.to(logits)
        weights = weighted.sum(dim=1)
        labels = weighted / weights[:, None]
    return weights * F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)


def squared_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Squared error per sample, averaged over the other dimensions: (B,).

    Raises:
        ValueError: If the shapes differ: (B, 1) against (B,) would be broadcast to (B, B).
    """
    if predictions.shape != targets.shape:
        raise ValueError(f"Predictions {tuple(predictions.shape)} and targets {tuple(targets.shape)} differ in shape.")
    return (at_least_float32(predictions) - targets).square().reshape(len(targets), -1).mean(dim=1)


def weight_penalty(net: nn.Module, l1: float, l2: float) -> Tensor:
    """l1 * sum |w| + l2 / 2 * sum w^2 over weight matrices and kernels; biases, norms and what is frozen go free."""
    weights = [parameter for parameter in net.parameters() if is_decayed(parameter) and parameter.requires_grad]
    return sum(
        (l1 * weight.abs().sum() + 0.5 * l2 * weight.square().sum() for weight in weights),
        start=torch.zeros((), device=weights[0].device),
    )
