"""Batches taken without Lightning's hooks: the same bits, counts and files as with them, and every batch told."""

from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loops import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import MLPClassifier
from nnzoo.callbacks.averaging import EMA
from nnzoo.run import many_steps
from nnzoo.run.many_steps import ManySteps
from support.found import run
from support.runs import rows, run_folder
from toys.toy_gan import ToyGAN, ToyRing

pytestmark = pytest.mark.filterwarnings("ignore:.*")
SETTINGS = {
    "nothing": {},
    "validation within an epoch": {"val_check_interval": 0.3},
    "validation by batches": {"val_check_interval": 3},
    "validation every other epoch": {"check_val_every_n_epoch": 2},
    "some of the batches": {"limit_train_batches": 7},
    "a share of the batches": {"limit_train_batches": 0.55},
    "an end by steps": {"max_steps": 17},
    "overfitting": {"overfit_batches": 3},
    "logging": {"log_every_n_steps": 4},
    "clipping": {"gradient_clip_val": 0.1},
    "clipping by value": {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
    "bf16": {"precision": "bf16-mixed", "gradient_clip_val": 0.1},
}
SLOW = {
    "float64": {"precision": "64-true"},
    "a gradient scaler": {"plugins": [MixedPrecision("16-mixed", "cpu")]},
    "accumulation": {"accumulate_grad_batches": 3},
    "a profiler": {"profiler": "simple"},
    "validation by batches of all epochs": {"val_check_interval": 5, "check_val_every_n_epoch": None},
}
OTHERS = {
    "an average of weights": lambda: [EMA(decay=0.9)],
    "averages at the end": lambda: [lightning_callbacks.StochasticWeightAveraging(1e-2, swa_epoch_start=1)],
    "rates by step": lambda: [lightning_callbacks.LearningRateMonitor("step")],
    "checkpoints by steps": lambda: [lightning_callbacks.ModelCheckpoint(every_n_train_steps=5, save_top_k=-1)],
    "accumulation later": lambda: [lightning_callbacks.GradientAccumulationScheduler({1: 2})],
    "early stopping": lambda: [lightning_callbacks.EarlyStopping("val/loss", patience=0)],
}


ADVANCE = _TrainingEpochLoop.advance


def counted(seen):
    """Lightning's step, which adds the number of its batch."""

    def advance(loop, fetcher):
        ADVANCE(loop, fetcher)
        seen.append(loop.batch_idx)

    return advance


@pytest.fixture
def taken(monkeypatch):
    """The batches that went through Lightning's loop."""
    seen = []
    monkeypatch.setattr(_TrainingEpochLoop, "advance", counted(seen))
    return seen


class Told(Callback):
    """Keeps what it is told of batches."""

    def __init__(self):
        self.heard = []

    def _hear(self, name, trainer, *numbers):
        loop = trainer.fit_loop.epoch_loop
        self.heard.append((name, trainer.global_step, loop.batch_idx, loop._batches_that_stepped, *numbers))

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self._hear("start", trainer, batch_idx, batch[0].sum().item())

    def on_before_zero_grad(self, trainer, module, optimizer):
        self._hear("zero", trainer, type(optimizer))

    def on_before_backward(self, trainer, module, loss):
        self._hear("before", trainer, loss.item())

    def on_after_backward(self, trainer, module):
        self._hear("after", trainer, sum(p.grad.abs().sum().item() for p in module.parameters()))

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self._hear("step", trainer, optimizer.param_groups[0]["lr"])
        module.log("told", float(len(self.heard)))

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self._hear("end", trainer, batch_idx, sorted(outputs), outputs["loss"].item(), outputs["loss"].requires_grad)


def fitted(root, many=True, model=None, loader=None, callbacks=(), **settings):
    """A trainer after a fit, with a checkpoint ``end.ckpt`` and all that it logged."""
    L.seed_everything(1, verbose=False)
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(80, 5, generator=generator), torch.randint(3, (80,), generator=generator))
    own = {"dropout": 0.3, "lr_schedule": "cosine", "lr_warmup": 0.2, "weight_decay": 0.1}
    model = model or MLPClassifier(num_numeric=5, num_classes=3, hidden=(8,), **own)
    flags = {"max_epochs": 3, "log_every_n_steps": 0, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(
        accelerator="cpu", devices=1, default_root_dir=root, logger=CSVLogger(root, name="", version=""),
        callbacks=[*callbacks, *([ManySteps()] if many else [])], **flags | settings,
    )  # fmt: skip
    loaders = (DataLoader(data, 4, shuffle=True), DataLoader(data, 40)) if loader is None else loader
    trainer.fit(model, *loaders)
    trainer.save_checkpoint(root / "end.ckpt")
    return trainer


def assert_same(root, one, other):
    """Two fits ended with the same of everything."""
    (one, other) = (root / name for name in (one, other))
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    files = [sorted(str(p.relative_to(at)) for p in at.rglob("*.ckpt")) for at in (one, other)]
    assert files[0] == files[1]
    for file in files[0]:
        states = [torch.load(at / file, weights_only=True) for at in (one, other)]
        for state in states:
            for key in [key for key in state["callbacks"] if key.startswith("ModelCheckpoint")]:
                del state["callbacks"][key]  # they name folders
        assert set(states[0]) > {"state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step", "epoch"}
        assert same(*states)


def same(one, other):
    """Whether two checkpoints, or what they hold, are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("name", SETTINGS)
def test_a_trainers_settings_give_the_same_bits_counts_and_rows(name, tmp_path, taken):
    fitted(tmp_path / "one", many=False, **SETTINGS[name])
    every = len(taken)
    fitted(tmp_path / "many", **SETTINGS[name])
    assert len(taken) - every < every, "some are taken otherwise"
    assert_same(tmp_path, "one", "many")


@pytest.mark.parametrize("name", OTHERS)
def test_callbacks_have_the_same_effect(name, tmp_path, taken):
    fitted(tmp_path / "one", many=False, callbacks=OTHERS[name]())
    every = len(taken)
    fitted(tmp_path / "many", callbacks=OTHERS[name]())
    assert len(taken) - every < every
    assert_same(tmp_path, "one", "many")


@pytest.mark.parametrize("name", SLOW)
def test_what_it_is_not_exact_for_goes_through_lightnings_loop(name, tmp_path, taken):
    fitted(tmp_path / "many", **SLOW[name])
    assert taken == [*range(20)] * 3


def test_a_callback_is_told_of_every_batch(tmp_path, taken):
    one, many = Told(), Told()
    fitted(tmp_path / "one", many=False, callbacks=[one])
    fitted(tmp_path / "many", callbacks=[many])
    assert len(taken) == 60 + 2 * 3, "of each epoch the first and the last"
    assert len(one.heard) == 60 * 6
    assert many.heard == one.heard
    assert_same(tmp_path, "one", "many")


def test_functions_given_to_lightnings_lambda_callback_are_told_too(tmp_path):
    heard = []
    hooks = lightning_callbacks.LambdaCallback(on_train_batch_end=lambda *arguments: heard.append(arguments[-1]))
    fitted(tmp_path, callbacks=[hooks])
    assert heard == [*range(20)] * 3


def test_a_hook_put_on_a_module_itself_is_called(tmp_path, taken):
    model, heard = MLPClassifier(num_numeric=5, num_classes=3, hidden=(8,)), []
    model.on_after_backward = lambda: heard.append(1)
    fitted(tmp_path, model=model)
    assert len(heard) == len(taken) == 60


def test_steps_of_several_optimisers_and_batches_that_are_dicts(tmp_path, taken):
    def fit(name, many):
        torch.manual_seed(0)
        data = ToyRing(batch_size=16)
        data.setup()
        loaders = data.train_dataloader(), data.val_dataloader()
        fitted(tmp_path / name, many, ToyGAN(), loaders, [EMA(decay=0.9)])

    fit("one", False)
    assert len(taken) == 30
    fit("many", True)
    assert len(taken) == 30 + 2 * 3
    assert_same(tmp_path, "one", "many")


def test_bars_signals_and_clocks_do_not_wait_long(tmp_path, taken, monkeypatch):
    monkeypatch.setattr(many_steps, "MOST", 4)
    fitted(tmp_path / "four", max_epochs=1)
    assert taken == [0, 5, 10, 15, 19]
    taken.clear()
    monkeypatch.setattr(many_steps, "SECONDS", 0.0)
    fitted(tmp_path / "time", max_epochs=1)
    assert taken == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 19]
    taken.clear()
    monkeypatch.undo()
    monkeypatch.setattr(_TrainingEpochLoop, "advance", counted(taken))
    bar = lightning_callbacks.TQDMProgressBar(refresh_rate=6)
    fitted(tmp_path / "bar", max_epochs=1, callbacks=[bar], enable_progress_bar=True)
    assert taken == [0, 5, 11, 17, 19]


class Stops(Callback):
    """Stops the fit at a batch of the second epoch."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        trainer.should_stop = trainer.current_epoch == 1 and batch_idx == 7


def test_a_callback_stops_the_fit_at_the_batch_it_says(tmp_path, taken):
    stopped = [fitted(tmp_path / name, many, callbacks=[Stops()]) for name, many in (("one", False), ("many", True))]
    assert [trainer.global_step for trainer in stopped] == [28, 28]
    assert_same(tmp_path, "one", "many")


class Logs(MLPClassifier):
    """Logs in every step, as tutorials do."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("train/step_loss", loss, prog_bar=True, on_step=True, on_epoch=True)
        return loss


class Watches(MLPClassifier):
    """Has a hook of its own."""

    def on_before_zero_grad(self, optimizer):
        self.norms = [*getattr(self, "norms", []), next(self.parameters()).norm().item()]


@pytest.mark.parametrize("cls", [Logs, Watches])
def test_modules_with_hooks_or_values_of_their_own_miss_none(cls, tmp_path, taken):
    models = [cls(num_numeric=5, num_classes=3, hidden=(8,)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for name, many, model in (("one", False, models[0]), ("many", True, models[1])):
        fitted(tmp_path / name, many, model, log_every_n_steps=3)
    assert len(taken) == 120
    assert_same(tmp_path, "one", "many")


def test_a_fit_after_one_that_broke_off_begins_anew(tmp_path, taken):
    class Breaks(Callback):
        broken = False

        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            if batch_idx == 5 and not self.broken:
                self.broken = True
                raise RuntimeError("broken")

    data = TensorDataset(torch.randn(80, 5), torch.randint(3, (80,)))
    trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, max_epochs=2,
                        enable_progress_bar=False, enable_model_summary=False,
                        callbacks=[Breaks(), ManySteps()])  # fmt: skip
    model = MLPClassifier(num_numeric=5, num_classes=3, hidden=(8,))
    with pytest.raises(RuntimeError, match="broken"):
        trainer.fit(model, DataLoader(data, 4))
    taken.clear()
    trainer.fit(model, DataLoader(data, 4))
    assert trainer.current_epoch == 2
    assert len(taken) == 4
    assert "advance" not in vars(trainer.fit_loop.epoch_loop)


def test_recipes_take_their_steps_so(in_tmp, taken):
    flags = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false"]
    flags += ["--baselines", "null", "--figures.draw", "false"]
    run("mlp", flags)
    per_epoch = 39
    assert len(taken) < per_epoch
    (steps,) = {row["step"] for row in rows(run_folder(Path.cwd())) if row["epoch"] == "1" and "val/loss" in row}
    assert int(steps) == 2 * per_epoch - 1
