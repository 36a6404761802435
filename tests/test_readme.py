"""The README's commands and code run as written, and its numbers are the recorded ones."""

import json
import os
import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from nnzoo.recipes import __main__ as listing
from nnzoo.recipes import _records

from nnzoo.nets.pretrained import packaged
from nnzoo.parameters import parameters_of
from support.forked import run_forked
from support.found import CONFIGS, RECIPES, case, datamodule_class, downloaded, recipe, recipe_of, settings_of
from support.runs import QUICK, run_folder

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
# They wait for data, a GPU, or the user.
UNRECORDED = {"cnn_cifar10", "cnn_fashion", "cnn_folder", "cnn_pretrained", "forecaster_csv"}
UNRECORDED |= {"ddpm_cifar10", "ddpm_text_mnist", "wgan_gp_cifar10"}
UNRECORDED |= {"gnn_csv", "gnn_graphs_mutag", "gnn_links_csv"}
UNRECORDED |= {"bert_function_lengths", "bert_function_statements", "bert_sst2", "lora_gpt2", "lora_local", "mlm"}
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def commands(text):
    """Every ``python -m nnzoo.recipes...`` in a text, as arguments after ``python -m``."""
    lines = re.findall(r"^(?:.*&& |    |)python -m (nnzoo\.recipes[^#\n]*)", text, re.MULTILINE)
    return [shlex.split(line) for line in dict.fromkeys(map(str.strip, lines))]


DOCUMENTED = [*(c for language, text in BLOCKS if language == "bash" for c in commands(text))]
DOCUMENTED += [c for name in RECIPES for c in commands(recipe(name).__doc__) if c not in DOCUMENTED]


@pytest.fixture
def make_run(smoke_run, in_tmp):
    """Puts a finished run of a recipe where the commands expect it, in runs/NAME/RUN."""

    def make(name):
        if Path(f"runs/{name}/RUN").exists():
            return
        if case(name).trained_on:
            recipe(name).main([*case(name).trained_on, *QUICK])
            run_folder(Path("runs", name)).rename(f"runs/{name}/RUN")
        else:
            shutil.copytree(smoke_run(name).folder, f"runs/{name}/RUN")

    return make


def test_there_are_commands_to_run():
    assert len(DOCUMENTED) >= 10
    assert {language for language, _ in BLOCKS} == {"bash", "python"}


@pytest.mark.parametrize("command", DOCUMENTED, ids=" ".join)
def test_documented_commands_run(command, make_run, capsys):
    module, *flags = command
    name = module.rpartition(".")[2]
    named = [after for flag, after in pairwise(flags) if flag == "--config" and after in CONFIGS and recipe_of(after)]
    config = named[0] if named else name
    folder = downloaded(config) if config in CONFIGS else None
    if folder and not Path(os.environ.get("NNZOO_DATA", ""), folder).is_dir():
        pytest.skip(f"needs {folder} under $NNZOO_DATA")
    weights = (settings_of(config).get("model") or {}).get("pretrained") if config in CONFIGS else None
    if isinstance(weights, str) and packaged(weights) is None and "--model.pretrained" not in flags:
        pytest.skip(f"needs {weights} of the hub")
    if module == "nnzoo.recipes":
        listing.main(flags)
        assert all(name in capsys.readouterr().out for name in RECIPES[:1])
        return
    case(name).files()
    if f"runs/{name}/RUN" in " ".join(flags):
        make_run(name)
    capsys.readouterr()
    if "--help" in flags:
        with pytest.raises(SystemExit):
            recipe(name).main(flags)
    elif "--trainer.devices" in flags:  # starts the second process itself, as an interpreter of its own
        process = run_forked([module, *flags, *QUICK])
        assert process.returncode == 0, process.stderr
        (result,) = Path("runs").rglob("result.json")
        assert json.loads(result.read_text())["devices"].startswith("2 x")
    else:
        goes_on = {"--resume", "test", "predict"} & set(flags)
        shorter = [*QUICK, "--trainer.max_epochs", "1"]  # the last flag wins
        if "--model.pretrained" not in flags:
            shorter += case(config).quicker_flags
        elif "block_size" in parameters_of(datamodule_class(config)):
            shorter += ["--data.block_size", "64"]  # of a packaged model that stands for a folder
        recipe(name).main(flags if goes_on else [*flags, *shorter])
        assert "run folder: " in capsys.readouterr().out
        if "predict" in flags and case(name).trained_on:
            assert list(Path("runs").rglob("predictions.csv"))


def test_the_code_runs(make_run):
    for language, text in BLOCKS:
        if language == "python":
            for name in re.findall(r"runs/(\w+)/RUN", text):
                case(name).files()
                make_run(name)
            names: dict = {}
            exec(text, names)
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
