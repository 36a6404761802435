"""The schedules of noise against the papers' formulas, computed here by themselves."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from nnzoo.errors import InputError
from nnzoo.nets.noise_schedule import cosine_betas, linear_betas, noise_schedule, timeline


def test_the_linear_schedule_ends_where_the_paper_says():
    """abar_T of Ho et al. 2020, by numpy in double precision."""
    abar = noise_schedule("linear", 1000)
    expected = np.prod(1 - np.linspace(1e-4, 0.02, 1000))
    assert float(abar[-1]) == pytest.approx(expected, rel=1e-12)
    assert float(abar[-1]) == pytest.approx(4.0358e-5, rel=1e-4)
    assert abar.dtype == torch.float64
    assert float(abar[0]) == pytest.approx(1 - 1e-4), "time 0 is one step of noise"


def test_a_shorter_linear_schedule_ends_at_about_the_same_noise():
    shorter, whole = (float(noise_schedule("linear", steps)[-1].log()) for steps in (250, 1000))
    assert shorter == pytest.approx(whole, rel=0.05)
    assert float(linear_betas(100).sum()) == pytest.approx(float(linear_betas(1000).sum()))


def test_the_cosine_schedule_is_a_squared_cosine_until_beta_is_cut():
    def f(share):
        return math.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2

    abar = noise_schedule("cosine", 1000)
    for time in (0, 1, 499, 998):
        assert float(abar[time]) == pytest.approx(f((time + 1) / 1000) / f(0), rel=1e-9)
    assert float(cosine_betas(1000)[-1]) == 0.999


def test_no_data_are_left_at_the_end_with_zero_terminal_snr():
    plain, shifted = noise_schedule("linear", 1000), noise_schedule("linear", 1000, zero_terminal_snr=True)
    assert float(shifted[-1]) == 0
    assert float(shifted[0]) == pytest.approx(float(plain[0]), rel=1e-12)
    assert (shifted.diff() < 0).all()


@pytest.mark.parametrize(("name", "steps"), [("linear", 20), ("cosine", 1), ("linear", 0)])
def test_too_few_steps_are_refused(name, steps):
    with pytest.raises(InputError, match=f"needs {21 if name == 'linear' else 2} steps or more, got {steps}"):
        noise_schedule(name, steps)


@pytest.mark.parametrize("spacing", ["uniform", "log_snr"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("total", [21, 100])
def test_a_sampler_asks_at_as_many_different_times_as_it_was_told(total, zero, schedule, spacing):
    """Rounded spacings ask at some times twice (a known fault of samplers with few steps)."""
    abar = noise_schedule(schedule, total, zero)
    for steps in range(1, total + 1):
        times = timeline(abar, steps, spacing=spacing)
        assert len(times) == steps
        assert times[0] == total - 1
        assert all(earlier > later for earlier, later in pairwise(times))
        assert steps == 1 or times[-1] == 0


def test_steps_are_evenly_spaced_in_time():
    abar = noise_schedule("linear", 1000)
    for steps in (2, 3, 10, 999):
        gaps = [earlier - later for earlier, later in pairwise(timeline(abar, steps))]
        assert max(gaps) - min(gaps) <= 1


def test_steps_are_evenly_spaced_in_log_snr():
    abar = noise_schedule("linear", 1000)
    log_snr = 0.5 * torch.logit(abar[timeline(abar, 20, spacing="log_snr")])
    gaps = log_snr.diff()
    assert float(gaps[:-3].min()) > 0.9 * float(gaps.mean())
    assert float(gaps.max()) < 1.3 * float(gaps.mean()), "up to the last times, which are whole numbers"


def test_a_sampler_may_start_in_the_middle():
    abar = noise_schedule("linear", 1000)
    assert timeline(abar, 3, start=10) == [10, 5, 0]
    assert timeline(abar, 11, start=10, spacing="log_snr") == list(range(10, -1, -1))


@pytest.mark.parametrize(("steps", "start"), [(0, None), (101, None), (12, 10)])
def test_more_steps_than_times_are_refused(steps, start):
    with pytest.raises(InputError, match="can take 1 to"):
        timeline(noise_schedule("linear", 100), steps, start)


def test_a_start_out_of_the_chain_is_refused():
    with pytest.raises(InputError, match="in 0 to 99, got 100"):
        timeline(noise_schedule("linear", 100), 10, start=100)
