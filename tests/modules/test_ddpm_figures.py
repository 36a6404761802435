"""Pictures of diffusion models: what they show is what the model does, by a network whose answers are known."""

import numpy as np
import pytest
import torch
from torch import nn

from nnzoo import DDPM
from nnzoo.modules.ddpm_figures import GUIDANCES, ddpm_figures, evenly, process, process_animation, times_figure
from nnzoo.modules.drawing import seeded
from nnzoo.plots.images import ENLARGED_SIDE, tile

TINY = {"in_shape": (1, 8, 8), "levels": 17, "channels": 4, "channel_mult": (1,), "timesteps": 30, "prediction": "x0"}
ENDS = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
pytestmark = pytest.mark.filterwarnings("ignore:.*")


class ClassImages(nn.Module):
    """Sees the image of its class in all noise, and a grey one without a class."""

    def __init__(self):
        super().__init__()
        self.images = torch.linspace(-0.9, 0.9, 4).view(4, 1, 1, 1).expand(4, 1, 8, 8).clone()
        self.images[:, :, 0] = 0.5  # a row that all classes share

    def forward(self, noised, times, labels=None):
        return self.images[torch.zeros(len(noised), dtype=torch.long) if labels is None else labels]


class Knows(DDPM):
    def build_net(self):
        return ClassImages()


def pictures(**settings):
    module = Knows(**TINY, **settings)
    return module, ddpm_figures(module, (ENDS, torch.arange(8) % 3), {})


def canvas(axis):
    return axis.get_images()[0].get_array()


@pytest.fixture(scope="module")
def conditional():
    return pictures(conditional=True, num_classes=3)


def test_guidance_moves_each_class_away_from_no_class(conditional):
    module, figures = conditional
    images, axes = module.net.images, figures["guidance"].axes
    assert [axis.get_ylabel() for axis in axes] == ["guidance 0", "guidance 1", "guidance 2", "guidance 4"]
    for axis, scale in zip(axes, GUIDANCES, strict=True):
        told = (images[3] + scale * (images[:3] - images[3])).clamp(-1, 1)
        np.testing.assert_allclose(canvas(axis), tile((told + 1) / 2, 3), atol=1e-5)


def test_the_reverse_process_leads_from_noise_to_the_sample_and_shows_what_is_seen_in_it(conditional):
    """A row of states for each sample, and below it the row of what the network sees: here its answer at all times."""
    module, figures = conditional
    shown = canvas(figures["reverse_process"].axes[0])
    assert shown.shape[:2] == (8 * 8 + 7, 10 * 8 + 9)
    states, seen = (np.stack([shown[9 * row : 9 * row + 8] for row in range(first, 8, 2)]) for first in (0, 1))
    ends = (module.net.images[[0, 1, 2, 0]] + 1) / 2
    answers = np.stack([tile(end.expand(10, 1, 8, 8), 10) for end in ends])
    np.testing.assert_allclose(seen, answers, atol=1e-5)
    np.testing.assert_allclose(states[:, :, -8:], answers[:, :, -8:], atol=1e-5)
    assert float(states[:, :, :8].std()) > 0.25, "noise"
    distances = [float(np.abs(states - answers)[:, :, start : start + 8].mean()) for start in range(0, 10 * 9 - 1, 9)]
    assert distances[-1] < 0.01 < 0.2 < distances[0]


def test_the_first_state_is_the_noise_that_belongs_to_the_sample(conditional):
    module, _ = conditional
    states, seen = process(module, 2)
    noise = torch.stack([torch.randn(1, 8, 8, generator=source) for source in seeded(range(2))])
    assert torch.equal(states[0], module.from_model(noise))
    assert len(states) == len(seen) == 30 + 1
    assert torch.equal(seen[-1], states[-1])


def test_an_animation_begins_as_noise_and_stays_at_its_end(conditional):
    module, figures = conditional
    frames = figures["reverse_process_animation"]
    assert len(frames) == 30 + 10
    assert all(max(frame.size) >= ENLARGED_SIDE // 2 for frame in frames)
    arrays = [np.asarray(frame) for frame in frames]
    assert all((frame == arrays[-1]).all() for frame in arrays[-11:])
    assert not (arrays[0] == arrays[-1]).all()
    factor = frames[0].height // (2 * 8 + 1)
    end = tile((module.net.images[[0, 1, 2, 0]] + 1) / 2, 2)
    np.testing.assert_allclose(arrays[-1][factor // 2 :: factor, factor // 2 :: factor] / 255, end, atol=1 / 255)
    predicted = process_animation(module, 16)
    assert predicted[0].size[0] >= ENLARGED_SIDE // 2
    assert len(predicted) == 40


def test_lines_lead_from_one_held_out_image_to_another(conditional):
    """What lies between is denoised, here to the image of the class of the line's beginning."""
    module, figures = conditional
    shown = canvas(figures["interpolation"].axes[0])
    found = [shown[:, start : start + 8] for start in range(0, 10 * 9 - 1, 9)]
    for column, ends in ((found[0], ENDS[:4]), (found[-1], ENDS[4:])):
        np.testing.assert_allclose(column, tile(ends, 1), atol=1e-6)
    between = tile((module.net.images[[0, 1, 2, 0]] + 1) / 2, 1)
    for column in found[1:-1]:
        np.testing.assert_allclose(column, between, atol=1e-5)


@pytest.mark.parametrize("objective", ["diffusion", "flow_matching"])
def test_the_loss_is_drawn_from_data_to_noise(objective):
    """A network that says 0 pays for all of the noise, or of the velocity, at every time."""
    settings = {name: value for name, value in TINY.items() if name not in ("timesteps", "prediction")}
    module = DDPM(**settings, objective=objective).eval()
    axis = times_figure(module, ENDS, None).axes[0]
    (line,) = axis.get_lines()
    assert list(line.get_xdata()) == pytest.approx([(number + 0.5) / 20 for number in range(20)])
    data = 2 * ENDS - 1
    noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(0))
    target = noise if objective == "diffusion" else data - noise
    assert list(line.get_ydata()) == pytest.approx([float(target.square().mean())] * 20, rel=1e-5)
    assert axis.get_yscale() == "log"
    assert axis.yaxis.get_minor_formatter()(0.3) == "0.3", "not 3 times the power -1 of 10"
    assert axis.get_xlabel() == "time: 0 data, 1 noise"


def test_the_loss_at_a_time_is_that_of_its_share_of_the_chain():
    module = Knows(**{**TINY, "prediction": "v", "schedule": "cosine"})
    (line,) = times_figure(module, ENDS, None).axes[0].get_lines()
    data, process = 2 * ENDS - 1, module.process
    noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(0))
    for number in (0, 10, 19):
        time = int((number + 0.5) / 20 * 30)
        target = process.alpha[time] * noise - process.sigma[time] * data
        expected = float((module.net.images[0] - target).square().mean())
        assert line.get_ydata()[number] == pytest.approx(expected, rel=1e-5)


def test_without_classes_or_enough_images_there_are_fewer_pictures():
    module, figures = pictures()
    assert set(figures) == {"loss_at_times", "reverse_process", "reverse_process_animation", "interpolation"}
    few = ddpm_figures(module, (ENDS[:7],), {})
    assert set(few) == {"loss_at_times", "reverse_process", "reverse_process_animation"}


@pytest.mark.parametrize(
    ("total", "count", "expected"), [(31, 4, [0, 10, 20, 30]), (3, 10, [0, 1, 2]), (1, 5, [0]), (50, 2, [0, 49])]
)
def test_steps_are_shown_evenly_with_both_ends(total, count, expected):
    assert evenly(total, count) == expected


def test_a_flows_share_of_the_way_to_noise_is_what_is_left_of_its_time():
    settings = {name: value for name, value in TINY.items() if name not in ("timesteps", "prediction")}
    module, asked = DDPM(**settings, objective="flow_matching").eval(), []
    module.net.register_forward_pre_hook(lambda _, args: asked.append(float(args[1][0])))
    times_figure(module, ENDS, None)
    assert asked == pytest.approx([1000 * (1 - (number + 0.5) / 20) for number in range(20)])
