"""Settings of the data are read by one parser, whatever the task, and the data are built once."""

from pathlib import Path
from unittest import mock

import pandas as pd
import pytest

from nnzoo import InputError, MLPClassifier, MLPRegressor, TabularDataModule
from nnzoo.run.arguments import parse
from nnzoo.run.cli import ZooCLI
from nnzoo.run.data import DataFirst
from support.found import TOYS, recipe
from toys.toy_graphs import ToyGraphClassifier, ToyGraphs

pytestmark = pytest.mark.filterwarnings("ignore:.*")
QUICK = ["--config", "smoke", "--trainer.accelerator", "cpu", "--baselines", "null", "--figures.draw", "false"]
QUICK += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
CSV = ["--data.csv", "table.csv", "--data.target", "price"]


@pytest.fixture
def table(in_tmp):
    rows = [{"size": i % 37, "age": i % 11, "note": i % 5, "price": 3.5 * i} for i in range(200)]
    pd.DataFrame(rows).to_csv("table.csv", index=False)


def settings(args):
    arguments = parse(args, "mlp", [], [])
    return DataFirst(TabularDataModule, arguments, [MLPClassifier], "prog").datamodule.hparams


def test_flags_and_configs_have_the_grammar_of_the_whole_command_line(table):
    Path("data.yaml").write_text("val_fraction: 2e-1\nbatch_size: 16\n")
    Path("run.yaml").write_text("data:\n  val_fraction: 2e-1\n  drop: [age]\nmodel:\n  hidden: [4]\n")
    assert settings([*CSV, "--data.val_fraction", "1e-1"])["val_fraction"] == 0.1
    assert settings([*CSV, "--config", "run.yaml"])["val_fraction"] == 0.2
    assert settings(["--data", "data.yaml", *CSV])["batch_size"] == 16
    assert settings([*CSV, "--config", "run.yaml", "--data.drop+=note"])["drop"] == ["age", "note"]
    assert settings([*CSV, "--data.drop=[age,note]", "--model.hidden", "[3]"])["drop"] == ["age", "note"]
    assert settings([*CSV, "--seed_everything", "5"])["seed"] == 5
    assert settings(["--data.csv=table.csv", "--data.target=price", "--config", "ema"])["batch_size"] == 32


@pytest.mark.parametrize("flags", [["--data.drop+=note"], ["--data.val_fraction=2e-1"], ["--seed_everything", "3"]])
def test_what_the_task_was_told_by_is_what_is_trained_on(table, flags):
    metrics = recipe("mlp").main([*QUICK, *CSV, *flags])
    assert "test/rmse" in metrics


def test_a_file_is_read_once_in_a_whole_run(table):
    with mock.patch("nnzoo.data.csv_file.pd.read_csv", wraps=pd.read_csv) as reader:
        data = TabularDataModule(csv="table.csv", target="price")
        data.setup()
        alone = reader.call_count
        reader.reset_mock()
        recipe("mlp").main([*QUICK, *CSV])
    assert reader.call_count == alone > 0


def test_data_that_were_built_first_serve_only_for_the_same_settings():
    first = DataFirst(TabularDataModule, parse(["--data.dataset", "iris"], "mlp", [], []), [], "prog")
    same = dict(first._settings)
    assert first(TabularDataModule, **same) is first.datamodule
    other = first(TabularDataModule, **{**same, "batch_size": 7})
    assert other is not first.datamodule
    assert other.batch_size == 7


def test_the_task_of_the_data_chooses_the_model(table):
    trained = {}
    for name, flags in {"wine": ["--data.dataset", "wine"], "file": CSV}.items():
        with mock.patch("nnzoo.run.cli.ZooCLI._finish", autospec=True) as finish:
            recipe("mlp").main(["fit", *QUICK, *flags])
        trained[name] = type(finish.call_args.args[0].model)
    assert trained == {"wine": MLPClassifier, "file": MLPRegressor}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--data.bach_size", "3"], "did you mean data.batch_size"),
        (["--data.val_fraction", "many"], "data.val_fraction: expected float"),
        (["--data.dataset", "irs"], "iris"),
        (["--data.val_fraction"], "expected one argument"),
        (["--data.lr", "3"], "did you mean model.lr?"),
        (["--seed_everything", "true"], "seed_everything"),
    ],
)
def test_wrong_settings_end_in_the_parsers_sentence(flags, says, capsys):
    with pytest.raises(SystemExit) as end:
        recipe("mlp").main([*QUICK, *flags])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error:") == 1
    assert says in error


def test_a_recipes_own_idle_values_are_dropped_and_a_users_are_refused(table, in_tmp):
    """The tagger's recipe sets the length of copy memory, which a file has none of."""
    rows = [{"id": i // 5, "x": i % 7, "state": i % 2} for i in range(300)]
    pd.DataFrame(rows).to_csv("steps.csv", index=False)
    flags = ["--data.csv", "steps.csv", "--data.target", "state", "--data.group", "id"]
    assert "test/nll" in recipe("tagger").main([*QUICK, *flags])
    with pytest.raises(InputError, match="length does nothing with dataset csv"):
        recipe("tagger").main([*QUICK, *flags, "--data.length", "20"])


def test_help_of_the_data_is_not_mistaken_for_a_setting(capsys):
    with pytest.raises(SystemExit):
        recipe("mlp").main(["--data.help"])
    assert "there is no option data.help" not in capsys.readouterr().err.partition("did you mean data.seed")[1]


def test_keys_of_a_config_are_words(in_tmp):
    Path("odd.yaml").write_text("on: 2\n")
    with pytest.raises(InputError, match="must hold keys such as model:"):
        recipe("mlp").main([*QUICK, "--config", "odd.yaml"])


def test_what_a_run_was_set_to_is_no_choice_of_a_later_command(table):
    rows = [{"id": i // 5, "x": i % 7, "state": i % 2} for i in range(300)]
    pd.DataFrame(rows).to_csv("steps.csv", index=False)
    recipe("tagger").main(["fit", *QUICK, "--data.memory", "4", "--data.num_samples", "640", "--data.length", "12"])
    (config,) = Path("runs").rglob("config.yaml")
    steps = ["--data.csv", "steps.csv", "--data.target", "state", "--data.group", "id"]
    with pytest.raises(InputError, match="was trained on data with"):  # and not: memory does nothing
        recipe("tagger").main(["test", "--ckpt_path", str(config.parent / "best.ckpt"), *steps])


@pytest.mark.parametrize("word", ["best", "last"])
def test_a_checkpoint_to_test_is_named_by_its_path(word, in_tmp):
    with pytest.raises(InputError, match=f"--ckpt_path {word} is of no run: give its path"):
        recipe("mlp").main(["test", *QUICK, "--ckpt_path", word])


def test_data_of_ones_own_need_no_seed(in_tmp):
    with mock.patch("nnzoo.run.cli.ZooCLI._finish"):
        ZooCLI(ToyGraphClassifier, Unseeded, str(TOYS["toy_graphs"].with_suffix(".py")), ["fit", *QUICK[2:], *BRIEF])


BRIEF = ["--trainer.max_epochs", "1"]


class Unseeded(ToyGraphs):
    """A datamodule whose constructor has no seed."""

    def __init__(self, *, batch_size: int = 16, num_samples: int = 32) -> None:
        super().__init__(batch_size=batch_size, num_samples=num_samples)
