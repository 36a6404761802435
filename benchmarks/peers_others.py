"""Peers with networks of their own, or for one kind of data: darts for series, transformers' Trainer for texts."""

import tempfile
from typing import Any

import numpy as np

from benchmarks.loops import Setting
from benchmarks.measuring import Stopwatch
from nnzoo.modules.text_encoder import TOKENS


def darts(setting: Setting, seed: int) -> float:
    """The BlockRNNModel of darts: a network of the same sizes, its own loader, a Trainer without a bar."""
    import pytorch_lightning as pl
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    watch, hparams = Stopwatch(len(setting.batches)), setting.hparams

    class Timer(pl.Callback):
        def on_train_epoch_start(self, *args: Any) -> None:
            watch.start()

        def on_train_epoch_end(self, *args: Any) -> None:
            watch.stop()

    windows = (len(setting.batches) + 1) * setting.batch_size + hparams["history"] + hparams["horizon"]
    values = np.random.default_rng(seed).normal(size=(windows, len(hparams["column_mean"][0]))).astype(np.float32)
    model = BlockRNNModel(
        hparams["history"], hparams["horizon"], model="LSTM", hidden_dim=hparams["hidden_size"], n_rnn_layers=1,
        batch_size=setting.batch_size, n_epochs=setting.epochs, random_state=seed,
        optimizer_kwargs={"lr": hparams["lr"]},
        pl_trainer_kwargs={
            "accelerator": "cpu", "callbacks": [Timer()], "limit_train_batches": len(setting.batches),
            "enable_progress_bar": False, "logger": False, "enable_model_summary": False,
        },
    )  # fmt: skip
    model.fit(TimeSeries.from_values(values))
    return watch.seconds


def transformers(setting: Setting, seed: int) -> float:
    """The Trainer of transformers, given the batches ready made, without evaluation, checkpoints, logs or a bar."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    watch, hparams = Stopwatch(len(setting.batches)), setting.hparams
    module = setting.fresh(seed)

    class Timer(TrainerCallback):
        def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
            watch.start()

        def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
            watch.stop()

    known = [dict(zip(TOKENS, inputs, strict=True), labels=target) for inputs, target in setting.batches]
    batches = [{name: values for name, values in batch.items() if values is not None} for batch in known]
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, use_cpu=True, num_train_epochs=setting.epochs, optim="adamw_torch_fused",
            per_device_train_batch_size=1, learning_rate=hparams["lr"], weight_decay=hparams["weight_decay"],
            max_grad_norm=setting.clip or 0.0, lr_scheduler_type=hparams["lr_schedule"],
            warmup_steps=hparams["lr_warmup"], report_to="none", save_strategy="no", logging_strategy="no",
            disable_tqdm=True, seed=seed, dataloader_pin_memory=False,
        )  # fmt: skip
        callbacks: list[Any] = [Timer()]
        model: Any = module.net.model
        Trainer(
            model, settings, train_dataset=batches, callbacks=callbacks,  # type: ignore[arg-type]
            data_collator=lambda found: found[0],
        ).train()  # fmt: skip
    return watch.seconds


DARTS = {"darts": darts}
TRANSFORMERS = {"transformers": transformers}
