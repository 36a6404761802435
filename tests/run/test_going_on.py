"""--resume with other settings: each acts, or is refused in a sentence; damaged checkpoints are passed over."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from nnzoo import InputError
from nnzoo.modules.optimizers import schedule_factor
from nnzoo.run.checkpoint import read_checkpoint
from nnzoo.run.resume import last_checkpoint, remove_leftovers
from support.found import recipe
from support.runs import run_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*")
STEPS = 6  # of an epoch
FLAGS = [
    *("--trainer.max_epochs", "3", "--trainer.limit_train_batches", str(STEPS), "--data.batch_size", "32"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--baselines", "null"),
    *("--trainer.enable_model_summary", "false", "--figures.draw", "false", "--model.hidden", "[16]"),
    *("--model.lr", "0.002", "--model.weight_decay", "0.1", "--model.lr_schedule", "cosine"),
    "--trainer.callbacks+=support.helpers.RecordRates",
]
STILL = ["--model.lr", "1e-30", "--model.weight_decay", "0"]
"""No epoch is better than the first."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        recipe("mlp").main([*FLAGS])
    return run_folder(root)


@pytest.fixture
def run_dir(finished, in_tmp):
    return Path(shutil.copytree(finished, in_tmp / "run"))


def resume(run_dir, *flags):
    recipe("mlp").main(["fit", "--resume", str(run_dir), *flags])
    return json.loads((run_dir / "result.json").read_text())


def rates(run_dir):
    return json.loads((run_dir / "rates.json").read_text())


def test_more_epochs_continue_the_schedule_of_the_new_length(run_dir):
    resume(run_dir, "--trainer.max_epochs", "6")
    expected = [0.002 * schedule_factor(step, 6 * STEPS, "cosine", 0.0) for step in range(3 * STEPS, 6 * STEPS)]
    assert expected[0] == pytest.approx(0.001)
    assert rates(run_dir) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--model.lr", "0.01"], [0.01 * schedule_factor(step, 24, "cosine", 0.0) for step in range(18, 24)]),
        (["--model.lr_schedule", "linear"], [0.002 * (1 - step / 24) for step in range(18, 24)]),
        (["--model.lr_schedule", "constant", "--model.lr", "0.003"], [0.003] * 6),
    ],
)
def test_another_rate_or_schedule_acts_from_the_step_that_the_fit_is_at(flags, expected, run_dir):
    record = resume(run_dir, "--trainer.max_epochs", "4", *flags)
    assert rates(run_dir) == pytest.approx(expected, rel=1e-12)
    given = dict(zip((flag.removeprefix("--model.") for flag in flags[::2]), flags[1::2], strict=True))
    assert {name: str(record["hyperparameters"]["model"][name]) for name in given} == given
    (change,) = record["changes"]
    assert change["step"] == 18
    assert {name: str(values[1]) for name, values in change["model"].items()} == given


def test_a_constant_rate_can_become_a_schedule(in_tmp):
    recipe("mlp").main(["fit", *FLAGS, "--model.lr_schedule", "constant"])
    run_dir = run_folder(Path("runs"))
    resume(run_dir, "--trainer.max_epochs", "4", "--model.lr_schedule", "linear")
    assert rates(run_dir) == pytest.approx([0.002 * (1 - step / 24) for step in range(18, 24)], rel=1e-12)


def test_another_weight_decay_acts_on_weights_alone(run_dir):
    resume(run_dir, "--trainer.max_epochs", "4", "--model.weight_decay", "0.3")
    (state,) = torch.load(run_dir / "last.ckpt", weights_only=True)["optimizer_states"]
    assert [group["weight_decay"] for group in state["param_groups"]] == [0.3, 0.0]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--model.weight_decay", "0"], "not between none and some"),
        (["--model.optimizer", "sgd"], "states are those of the optimizer adamw, which sgd cannot use"),
        (["--model.hidden", "[8]"], r"saved with hidden 16, not 8: leave out the flags that change the network"),
        (["--seed_everything", "3"], "A run keeps its seed_everything"),
        (["--optimizer", "SGD", "--optimizer.lr", "0.1"], "A run keeps its optimizer"),
        (["--data.batch_size", "256"], "had 6 batches in an epoch and 1 in a step, these settings make it 4 and 1"),
        (["--trainer.accumulate_grad_batches", "2"], "make it 6 and 2"),
        (["--checkpoint.monitor", "val/accuracy"], "chooses its best checkpoint by val/loss"),
        (["--checkpoint.every_n_epochs", "2"], "chooses its best checkpoint at other epochs or steps"),
    ],
)
def test_what_cannot_change_in_the_middle_of_a_fit_is_refused(flags, says, run_dir):
    """What was refused stays nowhere: the run can go on as if it had not been asked for."""
    files = [run_dir / name for name in ("config.yaml", "metrics.csv", "result.json", "best.ckpt", "last.ckpt")]
    before = [path.read_bytes() for path in files]
    with pytest.raises(InputError, match=says):
        resume(run_dir, "--trainer.max_epochs", "4", *flags)
    assert [path.read_bytes() for path in files] == before


def test_a_run_that_stopped_early_goes_on_with_more_patience_only(in_tmp):
    recipe("mlp").main(["fit", *FLAGS, *STILL, "--trainer.max_epochs", "9", "--patience", "2"])
    run_dir = run_folder(Path("runs"))
    files = {path: path.read_bytes() for path in (run_dir / "last.ckpt", run_dir / "metrics.csv")}
    stopped = json.loads((run_dir / "result.json").read_text())
    assert stopped["epochs"] == 3 < 9
    record = resume(run_dir)
    assert {path: path.read_bytes() for path in files} == files
    assert [record[key] for key in ("epochs", "metrics", "last")] == [
        stopped[key] for key in ("epochs", "metrics", "last")
    ]
    assert resume(run_dir, "--patience", "4")["epochs"] == 5


def test_the_record_holds_the_values_of_the_tested_checkpoint_and_those_of_the_last_epoch(in_tmp):
    metrics = recipe("mlp").main([*FLAGS, *STILL, "--trainer.max_epochs", "5"])
    run_dir = run_folder(Path("runs"))
    record = json.loads((run_dir / "result.json").read_text())
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["val/loss"]) for row in rows if row["val/loss"]]
    best = losses.index(min(losses))
    assert best < 4
    assert record["best_epoch"] == best + 1 == read_checkpoint(run_dir / "best.ckpt")["epoch"] + 1
    assert metrics.items() <= record["metrics"].items()
    for number, values in ((best, record["metrics"]), (4, record["last"])):
        logged = {}
        for row in rows:
            logged |= {key: float(v) for key, v in row.items() if v and row["epoch"] == str(number) and "/" in key}
        assert {key: values[key] for key in values if not key.startswith("test/")} == logged


def test_best_is_what_was_scored_where_validation_comes_within_epochs(in_tmp):
    recipe("mlp").main(["fit", *FLAGS, "--trainer.val_check_interval", "2"])
    run_dir = run_folder(Path("runs"))
    with (run_dir / "metrics.csv").open(newline="") as file:
        losses = [float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"]]
    assert len(losses) == 9
    again = recipe("mlp").main(["validate", "--ckpt_path", str(run_dir / "best.ckpt")])
    assert again["val/loss"] == min(losses)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path):
    """Other values of a weight: the file is whole, and its pickle too."""
    contents = bytearray(path.read_bytes())
    weights = max(torch.load(path, weights_only=True)["state_dict"].values(), key=torch.numel)
    start = contents.index(weights.numpy().tobytes())
    contents[start] ^= 255
    path.write_bytes(contents)


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_is_named_and_the_whole_one_taken(damage, run_dir, recwarn):
    damage(run_dir / "last.ckpt")
    assert last_checkpoint(run_dir) == run_dir / "best.ckpt"
    assert any(f"last.ckpt in {run_dir} cannot be read: going on from best.ckpt" in str(w.message) for w in recwarn)
    resume(run_dir, "--trainer.max_epochs", "4")
    assert read_checkpoint(run_dir / "last.ckpt")["epoch"] == 3
    for path in run_dir.glob("*.ckpt"):
        damage(path)
    with pytest.raises(InputError, match=r"best\.ckpt and last\.ckpt in .* cannot be read, and there is no other"):
        last_checkpoint(run_dir)


def test_what_dead_processes_left_is_removed(run_dir):
    left = [run_dir / name for name in ("last.ckpt.17.part", "figures/curves.png.17.part", ".lr_find_1.ckpt")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert last_checkpoint(run_dir).name == "last.ckpt"
    remove_leftovers(run_dir)
    assert not any(path.exists() for path in left)
    assert (run_dir / "last.ckpt").exists()


def test_weights_alone_are_passed_over(run_dir):
    checkpoint = read_checkpoint(run_dir / "last.ckpt")
    torch.save({key: checkpoint[key] for key in ("state_dict", "epoch", "global_step", "loops")}, run_dir / "best.ckpt")
    assert last_checkpoint(run_dir).name == "last.ckpt"
    (run_dir / "last.ckpt").unlink()
    with pytest.raises(InputError, match="no checkpoint"):
        last_checkpoint(run_dir)
