"""Scales of windows of known and unknown series."""

import torch

from nnzoo.nets.series_scaler import SeriesScaler


def test_the_scale_of_a_known_series_is_the_same_beside_an_unknown_one():
    scaler = SeriesScaler([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [0.5, 3.0]])
    history, offset = torch.randn(5, 7, 2), torch.randn(5, 2)
    series = torch.tensor([0, 1, 0, 1, 1])
    alone = scaler(history, series, offset)
    beside = scaler(history, torch.tensor([0, 1, -1, 1, 1]), offset)
    rows = [0, 1, 3, 4]
    assert torch.equal(alone.mean[rows], beside.mean[rows])
    assert torch.equal(alone.std[rows], beside.std[rows])
    torch.testing.assert_close(beside.mean[2, 0], history[2].mean(dim=0))
    torch.testing.assert_close(beside.std[2, 0], history[2].std(dim=0, correction=0))
