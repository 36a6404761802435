"""The lesson of mode collapse runs: a table and a picture of the three models."""

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def test_three_models_are_trained_measured_and_drawn(in_tmp, capsys):
    spec = importlib.util.spec_from_file_location("mode_collapse", ROOT / "benchmarks" / "mode_collapse.py")
    lesson = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lesson)
    quick = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--data.num_samples", "600"]
    quick += ["--trainer.enable_progress_bar", "false"]
    lesson.main(["--seeds", "3", "--folder", "out", *quick])
    first, trained = capsys.readouterr().out, sorted(Path("out").glob("wgan_gp_toy*/seed-3/*/*/best.ckpt"))
    assert len(trained) == 3
    lesson.main(["--seeds", "3", "--folder", "out", *quick])
    *_, head, gan, wgan, penalised, _, path = (printed := capsys.readouterr().out).splitlines()
    assert first.endswith(printed), "the runs that had ended were looked at again, not repeated"
    assert sorted(Path("out").rglob("best.ckpt")) == trained
    assert "modes of 25" in head
    assert "seeds: 1" in head
    assert [row.split()[0] for row in (gan, wgan, penalised)] == ["GAN", "WGAN", "WGAN-GP"]
    assert all(0 <= float(row.split()[-1]) <= 1 for row in (gan, wgan, penalised))
    with Image.open(path) as picture:
        assert picture.width > 2 * picture.height
        assert picture.convert("L").getextrema()[0] < 128, "there are dots on it"
