"""The vanishing-gradient picture that sequence modules share."""

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.nets.rnn import CELLS, SequenceEncoder, SequenceNet, gradient_norms
from nnzoo.plots import sequences as plots_sequence

MAX_SEQUENCES = 64


def build_sequence_net(hparams: Any, num_outputs: int | None, per_step: bool = False) -> SequenceNet:
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
    return {"gradient_norms": plots_sequence.gradient_norms(norms)}


@torch.inference_mode(False)
def norms_of(net: SequenceNet, module: Any, batch: tuple[Tensor, ...]) -> Tensor:
    """Gradient norms (T,) of a network under a module's loss, over those sequences that have the longest length.

    Where every step has a loss, that of the last step is taken: how far back does it reach?
    """
    inputs, lengths, target = (tensor.clone() for tensor in batch)  # usable outside inference mode
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
