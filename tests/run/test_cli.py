"""The command line that all recipes share."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from nnzoo.recipes import vae
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nnzoo import VAE
from nnzoo.run.arguments import lists_of_classes, parse
from nnzoo.run.configs import RECIPES as RECIPE_FOLDER
from nnzoo.run.configs import recipe_stems
from nnzoo.run.report import table
from support.found import RECIPES, TOYS, case, datamodule_of, model_class, recipe
from support.runs import QUICK, SMOKE

pytestmark = pytest.mark.filterwarnings("ignore:.*")
VAE_QUICK = [*QUICK, *case("vae").quicker_flags]
# What is drawn of a module that has the method.
PICTURES = {"sample": "samples", "reconstruct": "reconstructions", "encode": "latent_space",
            "interpolate": "interpolation"}  # fmt: skip


def printed_config(args, capsys, name="vae"):
    with pytest.raises(SystemExit) as end:
        recipe(name).main([*args, "--print_config"])
    assert end.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def newest(pattern):
    return max(Path("runs").rglob(pattern), key=lambda path: path.stat().st_mtime)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_tests_and_leaves_a_complete_run_folder(name, smoke_run):
    metrics, folder, printed, warned = smoke_run(name)
    assert printed.rstrip().endswith(f"run folder: {folder.relative_to(folder.parents[2])}")
    assert all(metric.split("/")[1] in printed for metric in metrics)
    assert metrics.keys() >= {"test/loss"}
    result = json.loads((folder / "result.json").read_text())
    assert metrics.items() <= result["metrics"].items()
    assert result["seed"] == 0
    assert result["versions"]["torch"] == torch.__version__.partition("+")[0]
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    drawn = {figure for method, figure in PICTURES.items() if hasattr(model_class(name), method)}
    assert figures >= {"learning_curves", *drawn}
    assert len(figures) > 1 or name in TOYS, "a run shows more than its curves"
    assert not [message for message in warned if "could not be drawn" in message]
    assert {path.name for path in folder.glob("*.ckpt")} == {"best.ckpt", "last.ckpt"}
    assert "val/loss" in (folder / "metrics.csv").read_text()
    assert not list(folder.rglob("*.part"))


def test_flags_win_over_configs_wherever_they_stand(in_tmp, capsys):
    Path("mine.yaml").write_text("model: {beta: 4.0, latent_dim: 5}\n")
    for args in (["--model.beta", "9", "--config", "mine.yaml"], ["--config=mine.yaml", "--model.beta=9"]):
        model = printed_config(args, capsys)["model"]
        assert (model["beta"], model["latent_dim"]) == (9.0, 5)


def test_later_configs_win_over_earlier_ones(in_tmp, capsys):
    Path("mine.yaml").write_text("trainer: {max_epochs: 7}\n")
    assert printed_config(["--config", "smoke", "-c", "mine.yaml"], capsys)["trainer"]["max_epochs"] == 7
    assert printed_config(["--config", "mine.yaml", "--config", "smoke"], capsys)["trainer"]["max_epochs"] == 1


def test_a_list_of_classes_is_replaced_and_takes_nothing_over(in_tmp, capsys):
    """By position, a class would have the settings of the one that the recipe or an earlier config had there."""
    Path("first.yaml").write_text("baselines: [{class_path: nnzoo.SampleQuality, init_args: {max_samples: 7}}]\n")
    Path("other.yaml").write_text("baselines: [{class_path: nnzoo.DensityBaselines}]\n")
    for configs in (["first.yaml"], ["first.yaml", "other.yaml"]):
        flags = [part for config in configs for part in ("--config", config)]
        (baseline,) = printed_config(flags, capsys)["baselines"]
        quality = configs == ["first.yaml"]
        assert baseline["class_path"] == ("nnzoo.SampleQuality" if quality else "nnzoo.DensityBaselines")
        assert (baseline["init_args"]["max_samples"] == 7) == quality
    assert lists_of_classes({"trainer": {"callbacks": [{"class_path": "A"}], "callbacks+": [{"class_path": "A"}],
                                         "devices": [0]}}) == {"trainer": {"callbacks": None}}  # fmt: skip


def test_the_settings_for_a_chosen_data_set_are_its_variants(in_tmp, capsys):
    own = {name: yaml.safe_load((RECIPE_FOLDER / f"{name}.yaml").read_text()) for name in ("cnn_folder", "cnn_mnist")}
    Path("mine.yaml").write_text("data: {dataset: mnist}\n")
    for variant, choice in {"cnn_folder": ["--data.dataset", "folder"], "cnn_mnist": ["--config", "mine.yaml"]}.items():
        config = printed_config([*choice, "--data.root", "images", "--model.dropout", "0.4"], capsys, "cnn")
        assert config["data"].items() >= own[variant]["data"].items()
        assert config["checkpoint"].items() >= own[variant].get("checkpoint", {}).items()
        assert config["model"].items() >= {**own[variant]["model"], "dropout": 0.4}.items(), "a flag wins"
    assert printed_config(["--data.dataset=digits"], capsys, "cnn") == printed_config([], capsys, "cnn")


def test_a_saved_graph_brings_the_settings_for_a_graph_of_ones_own(in_tmp, capsys):
    own = yaml.safe_load((RECIPE_FOLDER / "gnn_csv.yaml").read_text())
    edges = torch.arange(20).repeat(2, 1)
    torch.save({"edge_index": edges, "x": torch.rand(20, 2), "y": torch.arange(20) % 2}, "graph.pt")
    for choice in (["--data.saved", "graph.pt"], ["--data.saved=graph.pt", "--data.dataset", "saved"]):
        config = printed_config(choice, capsys, "gnn")
        assert config["data"]["saved"] == "graph.pt"
        assert (config["data"]["labels_per_class"], config["model"]["propagation"]) == (None, "none")
        assert config["checkpoint"].items() >= own["checkpoint"].items()


def test_a_config_wins_over_the_data_sets_variant_and_a_named_variant_takes_its_place(in_tmp, capsys):
    Path("mine.yaml").write_text("model: {dropout: 0.4}\n")
    chosen = ["--data.dataset", "folder", "--data.root", "images"]
    assert printed_config([*chosen, "--config", "mine.yaml"], capsys, "cnn")["model"]["dropout"] == 0.4
    named = printed_config([*chosen, "--config", "cnn_pretrained"], capsys, "cnn")
    assert named == printed_config(["--config", "cnn_pretrained", "--data.root", "images"], capsys, "cnn")
    assert named["trainer"]["max_steps"] == -1, "which cnn_folder sets"


def test_a_run_says_whose_settings_it_takes_and_keeps_its_own(in_tmp, capsys, caplog):
    with caplog.at_level("INFO"):
        parse(["--data.dataset", "folder"], "cnn", [], [])
        parse([], "cnn", [], [])
    said = [record.getMessage() for record in caplog.records]
    assert said == ["folder: with the settings of cnn_folder, unless you give others"]
    Path("config.yaml").write_text("data: {dataset: folder}\n")
    Path("best.ckpt").touch()
    assert parse(["test", "--ckpt_path", "best.ckpt"], "cnn", [], []).configs == ["config.yaml"]


def test_a_run_can_be_repeated_from_its_config(in_tmp):
    first = vae.main([*VAE_QUICK, "--model.latent_dim", "3", "--seed_everything", "5"])
    assert vae.main(["--config", str(newest("config.yaml"))]) == first


def test_shapes_flow_from_the_data_to_the_model(in_tmp):
    vae.main([*VAE_QUICK, "--data.image_size", "12", "--data.color", "rgb", "--model.conditional", "true"])
    model = VAE.load_from_checkpoint(newest("best.ckpt"))
    assert model.hparams.in_shape == (3, 12, 12)
    assert model.hparams.levels == 256
    assert model.sample(10).shape == (10, 3, 12, 12)


def test_a_subclass_by_import_path_keeps_the_recipes_settings(in_tmp, capsys):
    args = ["--model", "cases.vae.NoiselessVAE", "--model.latent_dim", "3"]
    model = printed_config(args, capsys)["model"]
    assert model["class_path"] == "cases.vae.NoiselessVAE"
    assert model["init_args"]["latent_dim"] == 3
    assert model["init_args"]["activation"] == "silu", "the recipe's own setting"
    trained = vae.main([*VAE_QUICK, *args])
    assert vae.main(["test", "--ckpt_path", str(newest("best.ckpt"))]) == trained


def test_optimizer_and_schedule_can_be_replaced(in_tmp):
    vae.main([*VAE_QUICK, "--optimizer", "SGD", "--optimizer.lr", "0.001", "--lr_scheduler", "StepLR",
              "--lr_scheduler.step_size", "1", "--lr_scheduler.gamma", "0.5"])  # fmt: skip
    checkpoint = torch.load(newest("last.ckpt"), weights_only=True)
    assert "momentum" in checkpoint["optimizer_states"][0]["param_groups"][0]
    assert checkpoint["lr_schedulers"][0]["gamma"] == 0.5


def test_testing_a_checkpoint_gives_the_numbers_of_the_run(in_tmp):
    metrics = vae.main([*VAE_QUICK, "--model.latent_dim", "3"])
    best = newest("best.ckpt")
    assert vae.main(["test", "--ckpt_path", str(best)]) == metrics
    moved = best.rename("moved.ckpt")
    alone = vae.main(["test", "--ckpt_path", str(moved), *QUICK, "--model.num_nll_samples", "1"])
    assert alone["test/elbo"] == metrics["test/elbo"]
    assert alone["test/nll"] > metrics["test/nll"], "the flag must win over the checkpoint's hyperparameters"


@pytest.mark.parametrize("name", RECIPES)
def test_validate_and_predict(name, smoke_run, in_tmp):
    best = str(smoke_run(name).folder / "best.ckpt")
    assert "val/loss" in recipe(name).main(["validate", "--ckpt_path", best])
    assert recipe(name).main(["predict", "--ckpt_path", best]) == {}
    predictions = torch.load(newest("predictions.pt"))
    outputs = [next(iter(batch.values())) if isinstance(batch, dict) else batch for batch in predictions]
    data = datamodule_of(name, **case(name).shorter)
    data.setup()
    found = 64 if model_class(name).draws else sum(map(data.size_of, data.predict_dataloader()))
    assert sum(map(len, outputs)) == (case(name).predicted or found)


def test_networks_compile(in_tmp):
    vae.main([*QUICK, "--compile", "true", "--model.num_nll_samples", "2"])
    assert not any("_orig_mod" in key for key in torch.load(newest("last.ckpt"), weights_only=True)["state_dict"])


def test_pictures_and_metrics_reach_the_loggers(in_tmp, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    vae.main([*SMOKE, *case("vae").quicker_flags, "--config", "wandb"])
    sent = {path.name.partition("_")[0] for path in Path("wandb").rglob("media/images/figures/*.png")}
    assert sent >= {"samples", "reconstructions"}
    vae.main([*VAE_QUICK, "--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "tensorboard"])
    events = EventAccumulator(str(next(Path("tensorboard").rglob("events.out*")).parent)).Reload()
    (logged,) = events.Scalars("val/loss")
    assert logged.value == pytest.approx(json.loads(newest("result.json").read_text())["metrics"]["val/loss"])


@pytest.mark.parametrize("name", recipe_stems())
def test_help_explains_every_option(name, capsys):
    with pytest.raises(SystemExit) as end:
        recipe(name).main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    options = re.split(r"\n  (?=-)", text.partition("\noptions:")[2])
    for group in ("model", "data"):
        described = [option for option in options if option.startswith(f"--{group}.")]
        assert len(described) >= 10, group
        for option in described:
            explained = re.sub(r"\(type:.*", "", option.replace("\n", " "))
            assert len([word for word in explained.split() if word.islower()]) >= 2, option
    assert f"python -m nnzoo.recipes.{name}" in text
    (epochs,) = (option for option in options if option.startswith("--trainer.max_epochs"))
    assert "default: null" not in epochs, "help must show the recipe's own value"


def test_every_public_parameter_is_documented_where_it_is_listed():
    values = [value for name in recipe_stems() for value in vars(recipe(name)).values() if inspect.isclass(value)]
    for cls in {base for value in values for base in value.__mro__ if base.__module__.startswith("nnzoo.")}:
        if "__init__" in vars(cls):
            for parameter in list(inspect.signature(cls).parameters):
                assert re.search(rf"^ +{parameter}: ", cls.__doc__, re.MULTILINE), (cls, parameter)


def test_the_table_sets_baselines_beside_the_model():
    lines = table({"test/psnr": 20.0, "test/loss": 1.0, "baseline/pca/psnr": 15.0}, "Net").splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["metric", "Net", "pca"],
        ["-" * len(lines[1])],
        ["loss", "1.0000"],
        ["psnr", "20.0000", "15.0000"],
    ]


IMPORTS = """
import importlib, json, pkgutil, sys
loaded = {}
import nnzoo
loaded["nnzoo"] = list(sys.modules)
import nnzoo.recipes
loaded["nnzoo.recipes"] = list(sys.modules)
import nnzoo.nets
for module in pkgutil.iter_modules(nnzoo.nets.__path__):
    importlib.import_module(f"nnzoo.nets.{module.name}")
loaded["nnzoo.nets"] = list(sys.modules)
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded():
    """The modules that a fresh interpreter has loaded once it has imported each of these, in this order."""
    process = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    return json.loads(process.stdout)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("nnzoo", {"torch", "lightning", "numpy"}),
        ("nnzoo.recipes", {"torch", "lightning"}),
        ("nnzoo.nets", {"lightning", "pytorch_lightning"}),
    ],
)
def test_importing_stays_light(name, absent, loaded):
    assert name in loaded[name]
    assert not absent & set(loaded[name])


def test_the_public_names_are_found():
    import nnzoo

    assert all(getattr(nnzoo, name) for name in nnzoo.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        nnzoo.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("flags", "folder"),
    [
        (["--config", "tensorboard"], "tensorboard"),
        (["--trainer.logger", "TensorBoardLogger"], "lightning_logs/version_0"),
        (["--trainer.logger=lightning.pytorch.loggers.TensorBoardLogger"], "lightning_logs/version_0"),
    ],
)
def test_a_logger_without_a_folder_writes_into_the_runs(flags, folder, in_tmp, capfd):
    recipe("toy_graphs").main([*QUICK, *flags])
    (run,) = {path.parent for path in in_tmp.rglob("result.json")}
    assert list((run / folder).glob("events.out*"))
    assert (run / "metrics.csv").is_file()
    assert {path.name for path in in_tmp.iterdir()} <= {"runs", "cache"}
    assert "\x1b[" not in "".join(capfd.readouterr()), "no colours"
