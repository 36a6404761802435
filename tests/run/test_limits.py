"""What a run's settings must satisfy is looked at before it trains, where Lightning takes it or trips over it."""

import pytest
from nnzoo.recipes import mlp

from nnzoo import InputError
from nnzoo.run import cli, limits
from nnzoo.run.limits import LIMITS, MAX_CPU_PROCESSES, check_limits, stays_in_its_folder
from support.found import recipe
from support.runs import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:.*")
OPTIMISER = ["--optimizer", "SGD", "--optimizer.lr", "0.1"]
STOPPING = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/loss", "--trainer.callbacks.mode=mx"]
SCHEDULES = [["--lr_scheduler", "StepLR", "--lr_scheduler.step_size", "1"],
             ["--lr_scheduler", "CosineAnnealingLR", "--lr_scheduler.T_max", "9"]]  # fmt: skip


@pytest.fixture(scope="module")
def settings_of():
    """The settings that a command line comes to, whole; found, and not run."""

    def find(flags):
        with pytest.MonkeyPatch.context() as patch:
            seen = []
            patch.setattr(cli, "check_limits", lambda settings: [seen.append(settings), exec("raise SystemExit")])
            with pytest.raises(SystemExit):
                recipe("toy_graphs").main([*QUICK, *flags])
        return seen[0]

    return find


@pytest.fixture(scope="module")
def settings(settings_of):
    return settings_of([])


REFUSED = {
    "seed_everything": [-1, 2**32],
    "patience": [-2],
    "trainer.max_epochs": [0, -2],
    "trainer.max_steps": [0, -5],
    "trainer.min_epochs": [-1, 5],
    "trainer.min_steps": [-1],
    "trainer.accumulate_grad_batches": [0, -1],
    "trainer.gradient_clip_val": [-1.0],
    "trainer.limit_train_batches": [0, 0.0, -1],
    "trainer.limit_val_batches": [0, -1],
    "trainer.limit_test_batches": [0, -1],
    "trainer.limit_predict_batches": [0],
    "trainer.overfit_batches": [-1],
    "trainer.val_check_interval": [0, 0.0, -1],
    "trainer.check_val_every_n_epoch": [0, -1, 5],
    "trainer.num_sanity_val_steps": [-5],
    "trainer.log_every_n_steps": [-1],
    "trainer.reload_dataloaders_every_n_epochs": [-1],
    "trainer.num_nodes": [0, 2],
    "trainer.enable_checkpointing": [False],
    "trainer.sync_batchnorm": [True],
    "trainer.devices": ["-1", "0", MAX_CPU_PROCESSES + 1],
    "checkpoint.monitor": [None, ""],
    "checkpoint.filename": ["../../escape", "/escape", "", "..", "a\\b", "last"],
    "checkpoint.save_top_k": [0, -3],
    "checkpoint.every_n_epochs": [0, 5],
    "last_checkpoint.filename": ["../escape", "best"],
    "last_checkpoint.save_top_k": [0],
    "last_checkpoint.every_n_epochs": [0],
    "last_checkpoint.seconds": [-1],
    "last_checkpoint.save_weights_only": [True],
    "optimizer.init_args.lr": [0.0, -1.0],
    "optimizer.init_args.weight_decay": [-1.0],
    "lr_scheduler.init_args.step_size": [0],
    "lr_scheduler.init_args.T_max": [0],
}
ACCEPTED = {
    "seed_everything": [0, 2**32 - 1],
    "trainer.max_epochs": [-1],
    "trainer.max_steps": [1],
    "trainer.gradient_clip_val": [0.5, None],
    "trainer.limit_train_batches": [0.5, None],
    "trainer.val_check_interval": [0.25, 2, "00:00:10:00"],
    "trainer.devices": ["1", "auto", 2],
    "checkpoint.filename": [None, "{epoch}-{step}", "my best"],
    "checkpoint.save_top_k": [-1, 3],
}


def test_every_limit_has_an_example():
    assert {limit.option for limit in LIMITS} <= REFUSED.keys()


@pytest.mark.parametrize(("option", "value"), [(option, value) for option in REFUSED for value in REFUSED[option]])
def test_what_a_run_cannot_use_is_refused(option, value, settings, settings_of):
    known = option in settings
    if not known:  # an option of a class that is given by its name
        found = [settings_of([*OPTIMISER, *schedule]) for schedule in SCHEDULES]
        settings = next(one for one in found if option in one)
    check_limits(settings)
    changed = settings.clone()
    changed[option] = value
    with pytest.raises(InputError, match=f"--{option.replace('init_args.', '')}"):
        check_limits(changed)


@pytest.mark.parametrize(("option", "value"), [(option, value) for option in ACCEPTED for value in ACCEPTED[option]])
def test_what_a_run_can_use_is_not_refused(option, value, settings):
    changed = settings.clone()
    changed[option] = value
    check_limits(changed)


def test_without_validation_the_best_epoch_is_chosen_by_training(settings):
    changed = settings.clone()
    changed["trainer.limit_val_batches"], changed["checkpoint.monitor"] = 0, "train/loss"
    check_limits(changed)


def test_there_is_nothing_to_wait_for_where_the_last_epoch_is_the_best(settings):
    changed = settings.clone()
    changed["checkpoint.monitor"], changed["checkpoint.mode"] = "step", "max"
    check_limits(changed)
    changed["patience"] = 3
    with pytest.raises(InputError, match="the last one is the best: leave it out, or set --checkpoint"):
        check_limits(changed)


@pytest.mark.parametrize("typed", ["1", "1.0", "0.5", "7"])
def test_batches_are_counted_as_typed(typed, settings_of):
    """Lightning takes 1 as one batch and 1.0 as all of them."""
    limits = [f"trainer.{name}" for name in ("limit_train_batches", "limit_predict_batches", "val_check_interval")]
    found = settings_of([f"--{option}={typed}" for option in limits])
    for option in limits:
        assert repr(found[option]) == typed


@pytest.mark.parametrize("group", ["data", "model"])
def test_an_empty_text_is_no_value(group, settings):
    changed = settings.clone()
    changed[f"{group}.something"] = ""
    with pytest.raises(InputError, match=f"--{group}.something is empty: give a value or leave it out"):
        check_limits(changed)


@pytest.mark.parametrize(("name", "stays"), [("best", True), (None, True), ("a/b", False), ("../a", False)])
def test_a_name_stays_in_its_folder(name, stays):
    assert stays_in_its_folder(name) == stays


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--seed_everything", "-1"], "--seed_everything -1 must be a number from 0 to 4294967295"),
        (["--trainer.accumulate_grad_batches", "0"], "must be 1 or more"),
        (["--trainer.val_check_interval", "1000"], "must be less than or equal to the number of the training batches"),
        (["--trainer.accelerator", "tpu"], "The Trainer cannot be set up: Requirement 'torch_xla"),
        (["--checkpoint.monitor", "val/acuracy"], "There is no metric val/acuracy, did you mean val/accuracy"),
        (["--checkpoint.monitor", "val/accuracy"], "The higher val/accuracy, the better: set --checkpoint.mode max"),
        (["--checkpoint.mode", "max"], "The lower val/loss, the better: set --checkpoint.mode min"),
        (["--checkpoint.monitor", "null"], "must name the metric"),
        (["--optimizer", "Adam", "--optimizer.betas", "[2, 3]"], "Invalid beta parameter at index 0: 2.0"),
        (["--optimizer", "SparseAdam"], "SparseAdam does not support dense gradients"),
        (
            ["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor=val/loss"],
            "more than one stateful callback of type",
        ),
        (STOPPING, "`mode` can be min, max, got mx"),
        (["--ckpt_path", "last"], "--ckpt_path last is of no run: give its path, such as RUN/best.ckpt, or go on"),
        (["--data.csv", "''"], "--data.csv FILE"),
        (["--data.test_csv", "", "--data.csv", "t.csv", "--data.target", "y"], "--data.test_csv is empty"),
        (["--config", "vae"], "for another recipe: python -m nnzoo.recipes.vae."),
        (["--config", "cnn_mnist"], "python -m nnzoo.recipes.cnn --config cnn_mnist."),
        (["--data.csv", "nine.csv", "--data.target", "y", "--folds", "5"], "classes of at most 3 samples"),
        (["--data.folds", "3", "--data.fold", "5"], "There is no fold 5 of 3"),
        (["--folds", "3", "--data.fold", "1"], "--folds runs every fold"),
        (["--data.num_workers", "100000"], "set --data.num_workers"),
        (["--config", "five.yaml"], "must have options beneath trainer:, not 5"),
        (["--config", "list.yaml"], "must have options beneath data:, not []"),
        (["--config", "null.yaml"], "must have options beneath model:, not None"),
        (["--config", "twice.yaml"], "lr stands there twice"),
    ],
)
def test_a_command_line_that_cannot_be_run_ends_before_training(flags, says, ends_with, in_tmp, monkeypatch):
    (in_tmp / "five.yaml").write_text("trainer: 5\n")
    (in_tmp / "list.yaml").write_text("data: []\n")
    (in_tmp / "null.yaml").write_text("model:\n")
    (in_tmp / "twice.yaml").write_text("model:\n  lr: 0.1\n  dropout: 0.5\n  lr: 0.2\n")
    (in_tmp / "t.csv").write_text("x,y\n" + "".join(f"{i / 7},{'ab'[i % 2]}\n" for i in range(60)))
    (in_tmp / "nine.csv").write_text("x,y\n" + "".join(f"{i / 7},{'abc'[i % 3]}\n" for i in range(9)))
    trained = []
    monkeypatch.setattr("nnzoo.run.nan_guard.NaNGuard.on_train_batch_end", lambda *args: trained.append(args))
    assert says in ends_with([*QUICK, *flags], main=mlp.main)
    assert not trained


def test_a_metric_of_training_can_choose_the_best_epoch(in_tmp):
    flags = ["--trainer.limit_val_batches", "0", "--checkpoint.monitor", "train/loss"]
    recipe("mlp").main([*QUICK, *flags])
    assert list(in_tmp.rglob("best.ckpt"))


def test_where_no_epoch_was_saved_a_warning_says_that_the_last_weights_are_tested(in_tmp, recwarn):
    recipe("toy_graphs").main([*QUICK, "--checkpoint.every_n_train_steps", "1000"])
    assert any("the last weights are tested" in str(warning.message) for warning in recwarn)


def test_the_finder_of_learning_rates_runs_without_a_terminal(in_tmp):
    recipe("mlp").main([*QUICK[:-6], *QUICK[-2:], "--lr_find", "true"])


def test_the_direction_of_a_metric_is_that_of_torchmetrics():
    from torchmetrics import Accuracy, MeanSquaredError, MetricCollection

    class Module(cli.L.LightningModule):
        def __init__(self):
            super().__init__()
            metrics = {"accuracy": Accuracy("binary"), "mse": MeanSquaredError()}
            self.metrics = MetricCollection(metrics, prefix="val/")

    assert limits.higher_is_better(Module()) == {"val/accuracy": True, "val/mse": False}
