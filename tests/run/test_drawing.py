"""``predict`` of models that make samples up: pictures in the run folder, and no data needed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from nnzoo import DDPM, DensityDataModule, ImageDataModule
from nnzoo.modules.drawing import seeded
from nnzoo.run.data import room_of
from support.found import recipe
from support.home import taken_home
from support.runs import QUICK
from support.user_files import write_images

pytestmark = pytest.mark.filterwarnings("ignore:.*")
TINY = ["--model.timesteps", "30", "--model.channels", "8", "--model.steps", "3"]


def draw(name, checkpoint, *flags):
    recipe(name).main(["predict", "--ckpt_path", checkpoint, *QUICK[2:], *flags])
    (folder,) = {path.parent for path in Path("runs").rglob("predictions.pt")}
    return folder


def test_a_model_of_a_folder_draws_anywhere_without_the_folder(in_tmp, monkeypatch, tmp_path, capsys):
    write_images()
    flags = ["--data.dataset", "folder", "--data.root", "my_images", "--data.image_size", "16", *TINY]
    flags += ["--model.conditional", "true", "--model.attention", "[8]"]
    checkpoint = taken_home("ddpm", flags, monkeypatch, tmp_path)
    folder = draw("ddpm", checkpoint, "--model.labels", "[1, 0, 1]", "--model.guidance", "2", "--seed_everything", "5")
    model = DDPM.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    files = sorted((folder / "images").iterdir())
    assert [path.name for path in files] == ["0000.png", "0001.png", "0002.png"]
    assert "5 pictures" in capsys.readouterr().out, "three images, the grid and the way to them"
    torch.manual_seed(5)
    expected = model.sample(3, torch.tensor([1, 0, 1]), guidance=2.0, generator=seeded(range(3)))
    for path, image in zip(files, expected, strict=True):
        pixels = np.asarray(Image.open(path)).reshape(-1)
        shown = (image.permute(1, 2, 0) * 255).round().numpy().reshape(-1)
        np.testing.assert_allclose(pixels, shown, atol=1)
    frames = Image.open(folder / "process.gif")
    assert frames.n_frames >= 4, "noise and three steps"
    assert not list(folder.rglob("*.part"))


def test_points_are_drawn_into_a_table(in_tmp, monkeypatch, tmp_path):
    flags = ["--config", "wgan_gp_toy", "--data.num_samples", "2000"]
    checkpoint = taken_home("wgan_gp", flags, monkeypatch, tmp_path)
    folder = draw("wgan_gp", checkpoint, "--model.num_images", "70")
    table = pd.read_csv(folder / "predictions.csv")
    assert list(table) == ["x1", "x2"]
    drawn = torch.cat(torch.load(folder / "predictions.pt", weights_only=True))
    np.testing.assert_allclose(table.to_numpy(), drawn.numpy(), rtol=1e-5)
    assert len(table) == 70
    assert not (folder / "images").exists()


def test_the_data_set_says_which_datamodule_a_recipe_takes():
    known = [ImageDataModule, DensityDataModule]
    assert room_of("moons", known) is DensityDataModule
    assert room_of("mnist", known) is ImageDataModule
    assert room_of(None, known) is ImageDataModule
