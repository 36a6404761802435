"""Peers with networks of their own, or for one kind of data: darts for series, transformers' Trainer for texts."""

import tempfile
from typing import Any

import numpy as np

from benchmarks.loops import Passes, Setting
from benchmarks.measuring import Stopwatch
from nnzoo.modules.text_encoder import TOKENS


def darts(setting: Setting) -> float:
    """The BlockRNNModel of darts: a network of the same sizes, its own loader, a Trainer without a bar."""
    import pytorch_lightning as pl
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    watch, hparams = Stopwatch(setting.steps), setting.hparams

    class Timer(pl.Callback):
        def on_train_epoch_start(self, *args: Any) -> None:
            watch.start()

        def on_train_epoch_end(self, *args: Any) -> None:
            watch.stop()

    windows = (setting.steps + 1) * setting.batch_size + hparams["history"] + hparams["horizon"]
    values = np.random.default_rng(0).normal(size=(windows, len(hparams["column_mean"][0]))).astype(np.float32)
    model = BlockRNNModel(
        hparams["history"], hparams["horizon"], model="LSTM", hidden_dim=hparams["hidden_size"], n_rnn_layers=1,
        batch_size=setting.batch_size, n_epochs=len(setting.epochs), random_state=0,
        optimizer_kwargs={"lr": hparams["lr"]},
        pl_trainer_kwargs={
            "accelerator": "cpu", "callbacks": [Timer()], "limit_train_batches": setting.steps,
            "enable_progress_bar": False, "logger": False, "enable_model_summary": False,
        },
    )  # fmt: skip
    model.fit(TimeSeries.from_values(values))
    return watch.seconds


def transformers(setting: Setting) -> float:
    """The Trainer of transformers, given the batches ready made, without evaluation, checkpoints, logs or a bar."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    watch, hparams = Stopwatch(setting.steps), setting.hparams
    module = setting.fresh()

    class Timer(TrainerCallback):
        def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
            watch.start()

        def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
            watch.stop()

    def named(batch: Any) -> dict[str, Any]:
        values = dict(zip(TOKENS, batch[0], strict=True), labels=batch[1])
        return {name: value for name, value in values.items() if value is not None}

    class Timed(Trainer):
        def get_train_dataloader(self) -> Any:
            return Passes(setting, named)

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, use_cpu=True, num_train_epochs=len(setting.epochs), optim="adamw_torch_fused",
            per_device_train_batch_size=1, learning_rate=hparams["lr"], weight_decay=hparams["weight_decay"],
            max_grad_norm=setting.clip or 0.0, lr_scheduler_type=hparams["lr_schedule"],
            warmup_steps=hparams["lr_warmup"], report_to="none", save_strategy="no", logging_strategy="no",
            disable_tqdm=True, seed=0, dataloader_pin_memory=False,
        )  # fmt: skip
        callbacks: list[Any] = [Timer()]
        model: Any = module.net.model
        Timed(model, settings, train_dataset=[None], callbacks=callbacks).train()  # type: ignore[arg-type]
    return watch.seconds


DARTS = {"darts": darts}
TRANSFORMERS = {"transformers": transformers}
