"""The README's commands and code run as written, and its numbers are the recorded ones."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nnzoo.recipes import __main__ as listing
from nnzoo.recipes import _records
from PIL import Image

from support.found import CONFIGS, DOWNLOADED, RECIPES, model_class, recipe, recipe_of, settings_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SMALL = {"hidden": "[16]", "channels": "[4, 4]"}
UNRECORDED = {"cnn_cifar10", "cnn_fashion", "cnn_folder"}  # they wait for data, a GPU, or the user
QUICK = ["--config", "smoke", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def commands(text):
    """Every ``python -m nnzoo.recipes...`` in a text, as arguments after ``python -m``."""
    lines = re.findall(r"^(?:.*&& |    |)python -m (nnzoo\.recipes[^#\n]*)", text, re.MULTILINE)
    return [shlex.split(line) for line in dict.fromkeys(map(str.strip, lines))]


DOCUMENTED = [*(c for language, text in BLOCKS if language == "bash" for c in commands(text))]
DOCUMENTED += [c for name in RECIPES for c in commands(recipe(name).__doc__) if c not in DOCUMENTED]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run, standing for runs/vae/RUN."""
    root = tmp_path_factory.mktemp("readme")
    recipe("vae").main([*QUICK, "--trainer.default_root_dir", str(root), "--trainer.callbacks", "null"])
    (folder,) = {path.parent for path in root.rglob("best.ckpt")}
    return folder


TRAINED_ON = {
    "mlp": ["--data.csv", "my.csv", "--data.target", "price"],
    "rnn": ["--data.csv", "steps.csv", "--data.target", "label", "--data.group", "id"],
    "cnn": ["--data.dataset", "folder", "--data.root", "my_images", "--data.image_size", "32"],
    "seq2seq": ["--data.csv", "pairs.csv", "--data.source", "before", "--data.target", "after"],
    "forecaster": ["--data.csv", "sales.csv", "--data.time", "date", "--data.target", "units"],
}
"""The runs that the commands call runs/NAME/RUN, but for vae's."""


def write_a_users_files():
    """What the commands call my.csv, steps.csv, pairs.csv, sales.csv and my_images, and new ones of their kind."""
    rng = np.random.default_rng(0)
    Path("my.csv").write_text("area,town,price\n" + "".join(f"{i % 37},t{i % 3},{3.5 * i}\n" for i in range(100)))
    steps = [f"s{i},{t},{rng.random()},{i % 2},{t % 2}\n" for i in range(60) for t in range(3 + i % 4)]
    Path("steps.csv").write_text("id,second,speed,label,state\n" + "".join(steps))
    pairs = [f"{i},{str(i)[::-1]}\n" for i in range(100, 400)]
    Path("pairs.csv").write_text("before,after\n" + "".join(pairs))
    days = np.arange("2015-01-01", "2020-01-01", dtype="datetime64[D]")
    sales = [f"{day},{10 + 5 * (i % 7) + rng.random()}\n" for i, day in enumerate(days)]
    Path("sales.csv").write_text("date,units\n" + "".join(sales))
    Path("new.csv").write_text("area,town\n" + "".join(f"{i},t1\n" for i in range(5)))
    Path("new_steps.csv").write_text(
        "id,second,speed,state\n" + "".join(f"n{i // 3},{i % 3},0.5,1\n" for i in range(9))
    )
    Path("questions.csv").write_text("before\n123\n456\n")
    Path("new_images").mkdir()
    Image.new("RGB", (70, 40)).save("new_images/1.jpg")
    for number in range(40):
        path = Path("my_images", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40 + number, 50, 3), np.uint8)).save(path)


def test_there_are_commands_to_run():
    assert len(DOCUMENTED) >= 10
    assert {language for language, _ in BLOCKS} == {"bash", "python"}


@pytest.mark.parametrize("command", DOCUMENTED, ids=" ".join)
def test_documented_commands_run(command, in_tmp, run_folder, capsys):
    module, *flags = [part.replace("runs/vae/RUN", str(run_folder)) for part in command]
    for config in CONFIGS.keys() & set(flags):
        folder = DOWNLOADED.get(settings_of(config)["data"]["dataset"]) if recipe_of(config) else None
        if folder and not Path(os.environ.get("NNZOO_DATA", ""), folder).is_dir():
            pytest.skip(f"needs {folder} under $NNZOO_DATA")
        for size, few in SMALL.items() if folder else ():
            parameter = inspect.signature(model_class(config)).parameters.get(size)
            if parameter and isinstance(parameter.default, tuple):
                flags += [f"--model.{size}", few]
    write_a_users_files()
    name = module.rpartition(".")[2]
    if f"runs/{name}/RUN" in " ".join(flags):
        recipe(name).main([*TRAINED_ON[name], *QUICK, "--trainer.callbacks", "null"])
        (folder,) = {path.parent for path in Path("runs").rglob("best.ckpt")}
        flags = [flag.replace(f"runs/{name}/RUN", str(folder)) for flag in flags]
    if module == "nnzoo.recipes":
        listing.main(flags)
        assert all(name in capsys.readouterr().out for name in RECIPES[:1])
    elif "--help" in flags:
        with pytest.raises(SystemExit):
            recipe("vae").main(flags)
    elif "--trainer.devices" in flags:  # starts processes of its own
        command = [sys.executable, "-m", module, *flags, *QUICK]
        process = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert process.returncode == 0, process.stderr
    else:
        flags += [] if {"--resume", "test", "predict"} & set(flags) else [*QUICK, "--trainer.callbacks", "null"]
        recipe(name).main(flags)
        assert "run folder: " in capsys.readouterr().out
        if "predict" in flags and name in TRAINED_ON:
            assert list(Path("runs").rglob("predictions.csv"))


def test_the_code_runs(run_folder, in_tmp):
    for language, text in BLOCKS:
        if language == "python":
            names: dict = {}
            exec(text.replace("runs/vae/RUN", str(run_folder)), names)
            if "LinearVAE" in names:
                assert names["LinearVAE"](in_shape=(1, 8, 8), levels=17).sample(3).shape == (3, 1, 8, 8)


def test_the_numbers_are_the_recorded_ones():
    table = README.partition(_records.BEGIN)[2].partition(_records.END)[0].strip()
    assert table == _records.markdown()


def test_every_recipe_is_recorded_and_its_docstring_quotes_the_number():
    for entry in _records.entries():
        if entry.name in UNRECORDED:
            continue
        assert entry.result is not None, f"record {entry.name}: see CONTRIBUTING.md"
        values = entry.result["metrics"][entry.result["metric"]]
        assert f"{values['mean']:.4g}" in recipe(entry.recipe).__doc__, entry.name


def test_the_listing_shows_every_recipe_and_variant(capsys):
    listing.main([])
    output = capsys.readouterr().out
    overlays = {path.stem for path in CONFIGS.values() if path.parent.name == "overlays"}
    assert all(name in output for name in CONFIGS.keys() - overlays)
    assert "--config vae_mnist" in output
