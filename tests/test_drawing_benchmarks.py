"""The benchmarks of drawn images: what they compare, which tables they print, and what their pictures show."""

import importlib
from pathlib import Path

import lightning as L
import pytest
import torch
from PIL import Image

from nnzoo import DDPM, InputError
from support.quiet import QUIET

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TINY = {"in_shape": (1, 8, 8), "levels": 17, "channels": 4, "channel_mult": (1,), "timesteps": 30, "steps": 2}
pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture
def benchmark(monkeypatch):
    """A benchmark as it sees itself when it is run, with those beside it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def checkpoint(in_tmp):
    """Writes a model's checkpoint."""

    def save(**settings):
        torch.manual_seed(0)
        module, trainer = DDPM(**TINY, **settings), L.Trainer(**QUIET)
        for parameter in module.parameters():
            if not parameter.any():  # layers that begin at zero, so that the class acts
                torch.nn.init.normal_(parameter, std=0.3)
        trainer.strategy.connect(module)
        trainer.save_checkpoint("best.ckpt")
        return "best.ckpt"

    return save


class Known:
    """Draws the first training image of each class asked for, and says how it was asked."""

    device, num_conditions = torch.device("cpu"), 10

    def __init__(self, images, labels):
        self.images, self.asked = torch.stack([images[labels == label][0] for label in range(10)]), []

    def sample(self, num_samples, labels=None, generator=None, **how):
        self.asked.append(how)
        return self.images[labels]


def test_images_are_compared_with_the_training_images_and_the_classes_asked_for(benchmark):
    module = benchmark("yardstick")
    yardstick = module.Yardstick("digits")
    images, labels = module.ImageDataModule(dataset="digits").tensors("train")
    found = yardstick.metrics(images, labels)
    assert found == {
        "frechet": pytest.approx(0, abs=1e-3),
        "precision": 1,
        "recall": 1,
        "class_share": pytest.approx(1, abs=0.01),
    }
    assert "class_share" not in yardstick.metrics(images)
    known = Known(images, labels)
    drawn, asked = yardstick.drawn(known, 25, guidance=3.0)
    assert asked.tolist() == [number % 10 for number in range(25)]
    assert torch.equal(drawn, known.images[asked])
    assert known.asked == [{"guidance": 3.0}]


def test_guidance_is_tabled_and_drawn(benchmark, checkpoint, capsys):
    guidance = benchmark("guidance")
    flags = ["--images", "40", "--guidances", "0", "1", "4", "--out", "out.png"]
    guidance.main([checkpoint(num_classes=10, conditional=True), *flags])
    first, head, *rows, path = capsys.readouterr().out.splitlines()
    assert first == "40 images, 32 features of nnzoo's classifier of digits"
    assert head.split() == ["guidance", "frechet", "precision", "recall", "class", "share"]
    assert [row.split()[0] for row in rows] == ["0", "1", "4", "held"]
    assert len({row.split()[1] for row in rows[:3]}) == 3, "guidance acts"
    assert float(rows[3].split()[-3]) > 0.95, "of held-out images the share is the classifier's accuracy"
    with Image.open(path) as picture:
        assert picture.width > picture.height
    with pytest.raises(InputError, match=r"train it with --model\.conditional true"):
        guidance.main([checkpoint(), "--out", "other.png"])
    assert not Path("other.png").exists()


def test_the_picture_of_guidance_shows_the_table(benchmark):
    found = {0.0: {"frechet": 9.0, "class_share": 0.1}, 1.0: {"frechet": 4.0, "class_share": 0.9}}
    upper, lower = benchmark("guidance").figure(found, {"frechet": 3.0, "class_share": 0.98}, 270).axes
    for axis, metric, floor in ((upper, "class_share", 0.98), (lower, "frechet", 3.0)):
        drawn, held_out = axis.get_lines()
        assert list(drawn.get_xdata()) == [0, 1]
        assert list(drawn.get_ydata()) == [each[metric] for each in found.values()]
        assert list(held_out.get_ydata()) == [floor, floor]
        assert held_out.get_label() == "270 held-out images"


def test_every_sampler_is_tabled_with_as_many_evaluations_as_were_asked_for(benchmark, checkpoint, monkeypatch, capsys):
    steps = benchmark("quality_against_steps")
    monkeypatch.setattr(steps, "STEPS", (50, 20, 10))
    asked = []
    monkeypatch.setattr(DDPM, "denoiser", counting(DDPM.denoiser, asked))
    steps.main([checkpoint(), "--images", "40", "--out", "out.png"])
    _, _, *rows, floor, path = capsys.readouterr().out.splitlines()
    names = [(*row.split()[:3:2], int(row.split()[3])) for row in rows]
    assert names == [(s, "30", n) for s in ("ddpm", "ddim", "dpm_solver") for n in (20, 10)], "no 50 of a chain of 30"
    assert len(asked) == 3 * (20 + 10)
    assert floor.startswith("held out")
    assert Path(path).is_file()


def test_the_picture_of_steps_has_a_line_for_each_sampler(benchmark):
    steps = benchmark("quality_against_steps")
    found = [steps.Result(name, n, 30 / n + k, 1.0) for k, name in enumerate(("ddim", "ddpm")) for n in (1000, 20)]
    (axis,) = steps.figure(found, 0.5, 270).axes
    *lines, floor = axis.get_lines()
    assert [(line.get_label(), list(line.get_xdata())) for line in lines] == [
        ("ddim", [1000, 20]),
        ("ddpm", [1000, 20]),
    ]
    assert [list(line.get_ydata()) for line in lines] == [[0.03, 1.5], [1.03, 2.5]]
    assert (floor.get_label(), list(floor.get_ydata())) == ("270 held-out images", [0.5, 0.5])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["20", "1,000"]


def counting(denoiser, asked):
    """The denoiser, whose every evaluation is noted."""

    def counted(*arguments, **settings):
        denoise = denoiser(*arguments, **settings)
        return lambda noised, times: asked.append(times) or denoise(noised, times)

    return counted
