"""The denoiser of vectors."""

import numpy as np
import pytest
import torch

from nnzoo.errors import InputError
from nnzoo.nets.ddpm import MLPDenoiser, with_waves


def test_waves_stand_beside_the_values():
    values = torch.tensor([[0.25, -1.5], [3.0, 0.0]])
    waves = with_waves(values, 3)
    phases = np.pi / 2 * np.array([1, 2, 4]) * values.numpy()[:, :, None]
    expected = np.concatenate([values, np.sin(phases).reshape(2, 6), np.cos(phases).reshape(2, 6)], axis=1)
    np.testing.assert_allclose(waves.numpy(), expected, atol=1e-6)
    assert torch.equal(with_waves(values, 0), values)


def test_waves_keep_their_phase_in_half_precision():
    values = torch.linspace(-2, 2, 9, dtype=torch.bfloat16)[:, None]
    exact = with_waves(values.double(), 8)
    torch.testing.assert_close(with_waves(values, 8).double(), exact, atol=0.005, rtol=0)


@pytest.mark.parametrize("frequencies", [0, 4])
def test_output_begins_at_zero_and_follows_value_time_and_class(frequencies):
    torch.manual_seed(0)
    net = MLPDenoiser((2, 3), outputs_per_channel=2, hidden=(16, 8), num_classes=3, frequencies=frequencies)
    noised, times, labels = torch.randn(5, 2, 3), torch.full((5,), 10.0), torch.zeros(5, dtype=torch.long)
    assert net(noised, times, labels).eq(0).all()
    torch.nn.init.normal_(net.last.weight)
    first = net(noised, times, labels)
    assert first.shape == (5, 4, 3)
    for other in ((noised + 1, times, labels), (noised, times + 500, labels), (noised, times, labels + 3)):
        assert not torch.allclose(net(*other), first, atol=1e-3)


@pytest.mark.parametrize("wrong", [-1, 17])
def test_frequencies_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=r"frequencies go from 0 to 16.*--model.frequencies"):
        MLPDenoiser((2,), frequencies=wrong)


def test_a_denoiser_without_layers_is_refused():
    with pytest.raises(InputError, match=r"needs a layer or more.*--model.hidden"):
        MLPDenoiser((2,), hidden=())
