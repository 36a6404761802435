"""Networks from a window's history to its next steps, and what they are compared with."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.rnn import Cell, SequenceEncoder

InstanceNorm = Literal["none", "last", "mean_std", "seasonal"]


def window_level_and_spread(history: Tensor, norm: InstanceNorm, season: int = 1) -> tuple[Tensor, Tensor]:
    """Level and spread of each window and column, each (B, 1, D): 0 and 1 for ``none``.

    ``last``: level is the last value (as in NLinear, arXiv:2205.13504). ``mean_std``: mean and standard deviation of
    the history, as in RevIN (Kim et al., ICLR 2022) with its epsilon, sqrt(variance + 1e-5), and without its learnt
    scale and shift. ``seasonal``: a level for each step (B, H, D), the last season's value at the same place in the
    season; within the last season, which would become 0, the last value. So with a season of 1 it is ``last``.

    Args:
        history: (B, H, D).
        norm: none | last | mean_std | seasonal.
        season: Steps after which the series repeats, at most H.
    """
    if norm == "mean_std":
        # Constants for the network, as in RevIN.
        variance, mean = torch.var_mean(history.detach(), dim=1, correction=0, keepdim=True)
        return mean, (variance + 1e-5).sqrt()
    level = torch.zeros_like(history[:, -1:]) if norm == "none" else history[:, -1:]
    spread = torch.ones_like(level)
    if norm == "seasonal":
        earlier = torch.arange(-history.shape[1], -season, device=history.device) % season - season
        level = torch.cat([history[:, earlier], level.expand(-1, season, -1)], dim=1)
    return level, spread


class LinearMap(nn.Module):
    """One linear map from all values of a history (B, H, D) to the forecast (B, horizon, C).

    Args:
        history: Steps of history, H.
        num_inputs: Columns, D.
        horizon: Steps to forecast.
        num_targets: Columns to forecast, C.
    """

    def __init__(self, history: int, num_inputs: int, horizon: int, num_targets: int) -> None:
        super().__init__()
        self.horizon, self.num_targets = horizon, num_targets
        self.linear = nn.Linear(history * num_inputs, horizon * num_targets)

    def forward(self, history: Tensor) -> Tensor:
        """Forecast (B, horizon, C) of a history (B, H, D)."""
        return self.linear(history.flatten(1)).unflatten(1, (self.horizon, self.num_targets))


class RecurrentMap(nn.Module):
    """A recurrent encoder of a history (B, H, D), and a linear map from its last state to the whole forecast.

    Direct multi-step: all steps come out at once, so that no forecast is fed back. With ``patch_length`` p the encoder
    takes p steps at a time as one input vector, the segments of SegRNN (arXiv:2308.11200): a recurrence of H / p
    instead of H steps, which is faster and easier to learn through.

    Args:
        history: Steps of history, H.
        num_inputs: Columns, D.
        horizon: Steps to forecast.
        num_targets: Columns to forecast, C.
        hidden_size: Units per layer and direction.
        num_layers: Recurrent layers.
        cell: rnn | lstm | gru.
        bidirectional: Whether the history is read backwards too.
        dropout: Share dropped between recurrent layers and of the last state.
        patch_length: Steps per input of the encoder; it must divide H.

    Raises:
        InputError: If a size or the dropout is out of range, or patches do not fill the history.
    """

    def __init__(
        self,
        history: int,
        num_inputs: int,
        horizon: int,
        num_targets: int,
        *,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: Cell = "gru",
        bidirectional: bool = False,
        dropout: float = 0.0,
        patch_length: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(patch_length=patch_length)
        if history % patch_length:
            raise InputError(
                f"A history of {history} steps is not a whole number of patches of {patch_length}: set "
                "--model.patch_length 1, or --data.history to a multiple."
            )
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is a share from 0 to below 1, got {dropout}.")
        self.horizon, self.num_targets, self.patch_length = horizon, num_targets, patch_length
        self.encoder = SequenceEncoder(
            patch_length * num_inputs, hidden_size, num_layers, cell, bidirectional, dropout if num_layers > 1 else 0.0
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.out_features, horizon * num_targets)

    def forward(self, history: Tensor) -> Tensor:
        """Forecast (B, horizon, C) of a history (B, H, D)."""
        patches = history.unflatten(1, (-1, self.patch_length)).flatten(2)
        _, state = self.encoder(patches)
        return self.head(self.dropout(state)).unflatten(1, (self.horizon, self.num_targets))


class WindowForecaster(nn.Module):
    """Normalises each window by itself, applies a map, and undoes the normalisation on its output.

    With ``seasonal`` the map forecasts the difference to the seasonal naive forecast. Its output layer starts at 0, so
    that training sets out from that forecast, and few windows do not lead far from it.

    Args:
        body: A map from (B, H, D) to (B, horizon, C), or from (B, H, 1) to (B, horizon, 1) if ``independent``.
        target_columns: Which of the D columns are forecast, C of them.
        instance_norm: none | last | mean_std | seasonal, see :func:`window_level_and_spread`.
        independent: Forecast each of these columns from its own history alone, all with the same weights.
        season: Steps after which the series repeats (seasonal), at most H.
    """

    def __init__(
        self,
        body: nn.Module,
        target_columns: Sequence[int],
        instance_norm: InstanceNorm,
        independent: bool,
        season: int = 1,
    ) -> None:
        super().__init__()
        self.body, self.target_columns = body, list(target_columns)
        self.instance_norm, self.independent, self.season = instance_norm, independent, season
        if instance_norm == "seasonal":
            for output in [layer for layer in body.modules() if isinstance(layer, nn.Linear)][-1:]:
                nn.init.zeros_(output.weight)
                nn.init.zeros_(output.bias)

    def forward(self, history: Tensor) -> Tensor:
        """Forecast (B, horizon, C) of a history (B, H, D), in the same units."""
        history = at_least_float32(history)
        if self.independent:
            history = history[:, :, self.target_columns]
        level, spread = window_level_and_spread(history, self.instance_norm, self.season)
        inputs = (history - level) / spread
        if self.independent:
            columns = inputs.transpose(1, 2)
            outputs = self.body(columns.flatten(0, 1).unsqueeze(2))
            outputs = outputs.squeeze(2).unflatten(0, columns.shape[:2]).transpose(1, 2)
        else:
            outputs = self.body(inputs)
        if self.instance_norm == "seasonal":
            level = seasonal_naive_forecast(history, outputs.shape[1], self.season)
        if not self.independent:
            level, spread = level[:, :, self.target_columns], spread[:, :, self.target_columns]
        return at_least_float32(outputs) * spread + level


def seasonal_naive_forecast(history: Tensor, horizon: int, season: int) -> Tensor:
    """Repeats the last ``season`` steps of a history (B, H, D): (B, horizon, D)."""
    repeats = -(-horizon // season)
    return history[:, -season:].repeat(1, repeats, 1)[:, :horizon]
