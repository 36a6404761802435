"""What a trained diffusion model is used for: samples, lines between images, images out of half noise."""

import lightning as L
import pytest
import torch
from torch import nn

from nnzoo import DDPM, InputError
from nnzoo.modules.drawing import seeded

TINY = {"in_shape": (1, 8, 8), "levels": 17, "channels": 4, "channel_mult": (1,), "timesteps": 30}


class OneImage(nn.Module):
    """Sees the same image in all noise, or the one of its class."""

    def __init__(self):
        super().__init__()
        self.images = torch.linspace(-1, 1, 3 * 64).view(3, 1, 8, 8)

    def forward(self, noised, times, labels=None):
        labels = torch.zeros(len(noised), dtype=torch.long) if labels is None else labels.clamp(max=2)
        return self.images[labels]


class KnowsTheImage(DDPM):
    def build_net(self):
        return OneImage()


def known(**settings):
    """A model of one image, or of one for each class; its network says what the data are."""
    return KnowsTheImage(**TINY, prediction="x0", **settings)


def sources(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver"])
def test_samples_are_images_in_their_own_scale(sampler):
    module = known(sampler=sampler, steps=4)
    samples = module.sample(3)
    assert torch.allclose(samples, ((module.net.images[:1] + 1) / 2).expand(3, 1, 8, 8), atol=1e-6)


def test_each_sample_has_the_class_that_was_asked_for():
    module = known(num_classes=3, conditional=True)
    expected = (module.net.images + 1) / 2
    assert torch.allclose(module.sample(3, torch.tensor([2, 0, 2]), steps=3), expected[[2, 0, 2]], atol=1e-6)
    assert torch.allclose(module.sample(4, steps=3), expected[[0, 1, 2, 0]], atol=1e-6), "all classes in turn"


@pytest.mark.parametrize("settings", [{}, {"objective": "flow_matching"}])
def test_a_sample_belongs_to_its_seed_whatever_the_batch(settings):
    base = {key: value for key, value in TINY.items() if key != "timesteps" or not settings}
    torch.manual_seed(0)
    module = DDPM(**base, **settings).eval()
    nn.init.normal_(module.net.last.weight, std=0.3)
    many = module.sample(3, steps=3, generator=sources(1, 2, 3))
    assert torch.allclose(many[2], module.sample(1, steps=3, generator=sources(3))[0], atol=1e-5)
    assert not torch.allclose(many[1], many[2], atol=1e-2)


def test_predict_draws_what_sample_does_and_labels_take_turns():
    module = known(num_classes=3, conditional=True, labels=[2, 0], steps=2)
    (batch,) = module.drawing_loader()
    assert batch.tolist() == [0, 1]
    assert torch.allclose(module.predict_step(batch, 0), (module.net.images[[2, 0]] + 1) / 2, atol=1e-6)
    more = known(num_classes=3, conditional=True, labels=[2, 0], num_images=70)
    assert [len(batch) for batch in more.drawing_loader()] == [64, 6]
    assert [len(batch) for batch in known().drawing_loader()] == [64]


def test_the_numbers_of_samples_go_on_from_batch_to_batch():
    torch.manual_seed(0)
    module = DDPM(**TINY, steps=2, num_images=70).eval()
    nn.init.normal_(module.net.last.weight, std=0.3)
    torch.manual_seed(0)
    first, second = (module.predict_step(batch, number) for number, batch in enumerate(module.drawing_loader()))
    assert not torch.allclose(first[0], second[0], atol=1e-2)


def test_images_that_keep_little_noise_come_back():
    """The chain's first time leaves nearly everything: with the true data the sampler ends on them."""
    module = known()
    image = (module.net.images[:1] + 1) / 2
    assert torch.allclose(module.denoise_from(image, 10), image, atol=1e-6)


def test_between_the_same_two_images_there_is_no_other():
    """With the same noise along a line: where it differed, so would the images."""
    torch.manual_seed(0)
    module = DDPM(**TINY, sampler="ddim").eval()
    nn.init.normal_(module.net.last.weight, std=0.3)
    images = torch.rand(2, 1, 8, 8)
    line = module.interpolate(images, images, 4, time=5, generator=torch.Generator().manual_seed(0))
    assert line.shape == (2, 4, 1, 8, 8)
    assert torch.allclose(line, line[:, :1].expand_as(line), atol=1e-5)


def test_a_line_is_mixed_at_the_noise_of_its_time():
    module = DDPM(**TINY, sampler="ddim").eval()  # says 0: ddim without clipping would only rescale
    first, second = torch.rand(2, 1, 1, 8, 8)
    starts = []
    module.net.register_forward_pre_hook(lambda _, args: starts.append(args[0]))
    module.interpolate(first, second, 3, time=7, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    ends = [module.process.noised(2 * image - 1, torch.tensor([7]), noise) for image in (first, second)]
    asked = len(starts) // 3
    assert asked == 8, "times 7 to 0"
    for start, expected in zip(starts[::asked], [ends[0], (ends[0] + ends[1]) / 2, ends[1]], strict=True):
        assert torch.allclose(start, expected, atol=1e-5)


def test_noise_between_two_samples_keeps_its_spread():
    module, starts = DDPM(**TINY, steps=2).eval(), []
    module.net.register_forward_pre_hook(lambda _, args: starts.append(args[0]))
    assert module.interpolate_noise(50, 3).shape == (50, 3, 1, 8, 8)
    assert float(starts[2].std()) == pytest.approx(1, abs=0.05)


def test_labels_may_be_a_list():
    torch.manual_seed(0)
    module = DDPM(**TINY, num_classes=3, conditional=True).eval()
    for parameter in module.parameters():  # what begins at zero hides the class
        nn.init.normal_(parameter, std=0.3)
    drawn = [module.sample(3, labels, generator=seeded(range(3))) for labels in ([2, 2, 0], torch.tensor([2, 2, 0]))]
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], module.sample(3, [0, 2, 0], generator=seeded(range(3))))


def test_labels_are_refused_where_there_are_none_or_too_few():
    with pytest.raises(InputError, match="not trained with classes"):
        known().sample(2, torch.tensor([0, 1]))
    with pytest.raises(InputError, match="3 samples need as many labels, got 2"):
        known(num_classes=3, conditional=True).sample(3, torch.tensor([0, 1]))
    with pytest.raises(InputError, match=r"0 \.\. 2"):
        known(num_classes=3, conditional=True).sample(1, torch.tensor([3]))


@pytest.mark.parametrize("settings", [{}, {"objective": "flow_matching"}])
def test_predict_draws_the_same_whatever_shares_its_batch(settings):
    """A device that gets samples 2 and 3 draws what it would have drawn with all."""
    module = DDPM(**{**{key: value for key, value in TINY.items() if key != "timesteps"}, **settings}, steps=3).eval()
    nn.init.normal_(module.net.last.weight, std=0.3)
    torch.manual_seed(0)
    whole, part = module.predict_step(torch.arange(4), 0), module.predict_step(torch.tensor([2, 3]), 0)
    assert torch.allclose(whole[2:], part, atol=1e-5)


LONG = [
    ({"steps": 5}, 5, 'steps=20, sampler="dpm_solver" is quicker'),
    ({}, 30, "dpm_solver"),
    ({"objective": "flow_matching", "steps": 7}, 14, "steps=20 is quicker"),
    ({"objective": "flow_matching", "steps": 7, "solver": "euler"}, 7, "steps=20 is quicker"),
    ({"conditional": True, "num_classes": 3, "guidance": 2.0, "steps": 5}, 10, "dpm_solver"),
]


@pytest.fixture
def slow(monkeypatch):
    """Says of every sample that it takes long."""
    monkeypatch.setattr("nnzoo.modules.ddpm_sampling.rank_zero_info", print)
    monkeypatch.setattr("nnzoo.modules.ddpm_sampling.LONG_DRAWING", 0.0)
    monkeypatch.setattr("nnzoo.modules.ddpm_sampling.MUCH", -1)


@pytest.mark.parametrize(("settings", "evaluations", "hint"), LONG)
def test_drawing_that_takes_long_says_so_first(settings, evaluations, hint, slow, capsys):
    """The network is asked as often as was said; that is looked at where it is large and asked often."""
    flows = settings.get("objective") == "flow_matching"
    base = {key: value for key, value in TINY.items() if not flows or key != "timesteps"}
    module, asked = DDPM(**base, **settings, num_images=70).eval(), []
    module.on_predict_start()
    said = capsys.readouterr().out
    assert f"Drawing 70 samples asks the network {evaluations} times for each, about 0 min here: " in said
    assert hint in said
    module.tell_if_long = lambda *args, **kwargs: None
    module.net.register_forward_hook(lambda _, args, output: asked.append(len(args[0])))
    module.sample(2)
    assert sum(asked) == 2 * evaluations


def test_small_and_quick_drawing_says_nothing(slow, monkeypatch, capsys):
    module = DDPM(**TINY).eval()
    parameters = sum(parameter.numel() for parameter in module.net.parameters())
    for name, value in (("MUCH", 2 * 30 * parameters), ("LONG_DRAWING", 60.0)):
        with monkeypatch.context() as changed:
            changed.setattr(f"nnzoo.modules.ddpm_sampling.{name}", value)
            module.sample(2)
            assert capsys.readouterr().out == ""
    module.sample(3)
    assert "Drawing 3 samples" in capsys.readouterr().out


WAYS = [
    (lambda module, images: module.sample(2), 2, 30),
    (lambda module, images: module.sample(2, steps=4, sampler="ddim"), 2, 4),
    (lambda module, images: module.denoise_from(images, 9), 2, 10),
    (lambda module, images: module.interpolate(images, images, 3), 6, 16),
    (lambda module, images: module.interpolate(images, images, 3, time=5), 6, 6),
    (lambda module, images: module.interpolate_noise(2, 4), 8, 30),
]


@pytest.mark.parametrize(("draw", "samples", "evaluations"), WAYS)
def test_each_way_to_draw_says_once_what_it_asks(draw, samples, evaluations, slow, capsys):
    module, asked = DDPM(**TINY).eval(), []
    module.net.register_forward_hook(lambda _, args, output: asked.append(len(args[0])))
    draw(module, torch.rand(2, 1, 8, 8))
    said = capsys.readouterr().out
    assert said.count("Drawing") == 1
    assert f"Drawing {samples} samples asks the network {evaluations} times for each" in said
    assert sum(asked) - 2 * min(samples, 4) == samples * evaluations, "beside the two calls that are timed"


def test_trainers_that_draw_are_told_of_once(slow, capsys):
    """``predict`` draws in batches, and tests and figures draw as they please."""
    module = DDPM(**TINY, num_images=5).eval()
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.predict(module, torch.utils.data.DataLoader(range(5), batch_size=2))
    said = capsys.readouterr().out
    assert said.count("Drawing") == 1
    assert "Drawing 5 samples asks the network 30 times for each, about 0 min here: --model.steps 20" in said


def test_a_terminal_is_shown_how_far_drawing_is(monkeypatch, capsys):
    monkeypatch.setattr("nnzoo.modules.ddpm_sampling.BAR_AFTER", 0.0)
    known().sample(2)
    assert capsys.readouterr().err == "", "no terminal"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    known().sample(2)
    known().denoise_from(torch.rand(2, 1, 8, 8), 9)
    shown = capsys.readouterr().err
    assert "sampling" in shown
    assert "/30" in shown
    assert "/10" in shown


@pytest.mark.parametrize("time", [-1, 30, 0.5])
def test_times_that_the_chain_does_not_have_are_refused(time):
    """-1 would be its last one by Python's way to count."""
    images = torch.rand(2, 1, 8, 8)
    for call in (lambda: known().denoise_from(images, time), lambda: known().interpolate(images, images, time=time)):
        with pytest.raises(InputError, match=f"whole numbers from 0 to 29, got {time}"):
            call()
    assert known().denoise_from(images, 7.0).shape == images.shape


@pytest.mark.parametrize("time", [-0.1, 1, 10])
def test_times_that_the_flow_does_not_have_are_refused(time):
    module = DDPM(**{key: value for key, value in TINY.items() if key != "timesteps"}, objective="flow_matching")
    with pytest.raises(InputError, match=rf"from time 0 .noise. to below 1 .data., got {time}"):
        module.denoise_from(torch.rand(2, 1, 8, 8), time)
