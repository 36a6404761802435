"""What modules of recurrent networks on sequences share: hyperparameters, network, the vanishing-gradient picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.modules.supervised import Batch, SupervisedModule
from nnzoo.nets.rnn import CELLS, Cell, SequenceEncoder, SequenceNet, gradient_norms
from nnzoo.plots import sequences as plots

MAX_SEQUENCES = 64


class RecurrentModule(SupervisedModule):
    """A recurrent network on sequences.

    Batches are values (B, T, D), lengths (B,), which may be left out where no sequence is padded, and targets: of two
    tensors the second is the target. Long sequences need their gradients clipped by global norm:
    ``--trainer.gradient_clip_val 1``.

    Args:
        num_inputs: Values per step, D (the command line takes it from the data).
        features: Names of the values of a step (the command line takes these and the next two from the data).
        feature_mean: Their means in the training part, by which the network standardises them; none if empty.
        feature_std: Their standard deviations.
        cell: rnn (tanh) | lstm | gru.
        hidden_size: Units per layer and direction.
        num_layers: Recurrent layers.
        bidirectional: Whether to read each sequence backwards too; not for data whose target at a step is the next
            input, which it would see.
        dropout: Share of the values dropped between recurrent layers.
        head_dropout: Share of a state's values dropped before the linear layer.
        shared: What the base class takes.
    """

    def __init__(
        self,
        *,
        num_inputs: int,
        features: Sequence[str] = (),
        feature_mean: Sequence[float] = (),
        feature_std: Sequence[float] = (),
        cell: Cell = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """The gradient norms over time, beside what else is shown."""
        return super().figures(batch, facts) | gradient_figure(self, batch)


def build_sequence_net(hparams: Mapping[str, Any], num_outputs: int | None, per_step: bool = False) -> SequenceNet:
    """The network that a sequence module's hyperparameters describe."""
    encoder = SequenceEncoder(
        hparams["num_inputs"],
        hparams["hidden_size"],
        hparams["num_layers"],
        hparams["cell"],
        hparams["bidirectional"],
        hparams["dropout"],
        hparams["feature_mean"],
        hparams["feature_std"],
    )
    return SequenceNet(encoder, num_outputs, per_step, hparams["head_dropout"])


@torch.inference_mode(False)  # which Lightning tests under, and in which nothing has a gradient
def gradient_figure(module: Any, batch: tuple[Tensor, ...]) -> dict[str, Figure]:
    """How much of the loss's gradient reaches each step: fresh networks of the three cells, and the module's own.

    All are of the module's size. Before training the gradient fades in every cell; an LSTM and a GRU can learn to open
    their gates and let it pass.
    """
    if not isinstance(module.net, SequenceNet):
        return {}
    norms = {f"{cell}, untrained": norms_of(fresh_net(module, cell), module, batch) for cell in CELLS}
    if not module.hparams["bidirectional"]:
        norms[f"{module.hparams['cell']}, this run"] = norms_of(module.net, module, batch)
    return {"gradient_norms": plots.gradient_norms(norms)}


@torch.inference_mode(False)
def norms_of(net: SequenceNet, module: Any, batch: tuple[Tensor, ...]) -> Tensor:
    """Gradient norms (T,) of a network under a module's loss, over those sequences that have the longest length.

    Where every step has a loss, that of the last step is taken: how far back does it reach?
    """
    inputs, *given, target = (tensor.clone() for tensor in batch)  # usable outside inference mode
    lengths = given[0] if given else torch.full((len(inputs),), inputs.shape[1])
    steps = int(lengths.max())
    chosen = (lengths == steps).nonzero()[:MAX_SEQUENCES, 0]
    inputs, target = inputs[chosen, :steps], target[chosen]
    if not net.per_step:
        return gradient_norms(net, inputs, lambda read: module.loss(read, target))
    last = target[:, steps - 1 : steps]
    return gradient_norms(net, inputs, lambda read: module.loss(read[:, -1:], last))


def fresh_net(module: Any, cell: str) -> SequenceNet:
    """An untrained network of a module's size that reads forwards, drawn without touching the global generator."""
    hparams = {**module.hparams, "cell": cell, "bidirectional": False}
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(0)
    try:
        net = build_sequence_net(hparams, module.net.num_outputs, module.net.per_step)
    finally:
        torch.set_rng_state(state)
    return net.to(module.device).eval()
