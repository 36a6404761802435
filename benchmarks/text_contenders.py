"""What ``text_speed.py`` compares the recipes with: a loop one writes by hand, and transformers' Trainer."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from nnzoo.modules.optimizers import schedule_factor

Batch = dict[str, Tensor]
Row = dict[str, Any]


class Speed(NamedTuple):
    """Tokens per second, padding left out: of the processor's time, and of that on the wall."""

    process: float
    wall: float


class Stopwatch:
    """When each step ended, and the tokens of each batch.

    Args:
        warmup: Steps at the beginning that are not counted.
    """

    def __init__(self, warmup: int) -> None:
        self.warmup = warmup
        self.ends: list[tuple[float, float]] = []
        self.tokens: list[int] = []

    def step(self) -> None:
        """Notes that a step has ended."""
        self.ends.append((time.process_time(), time.perf_counter()))

    def batch(self, batch: Mapping[str, Tensor]) -> Any:
        """Notes a batch, and gives it back."""
        self.tokens.append(int(batch["attention_mask"].sum()))
        return batch

    def speed(self) -> Speed:
        """Tokens of the steps that count, by the time from the end of the last that does not."""
        tokens, first, last = sum(self.tokens[self.warmup :]), self.ends[self.warmup - 1], self.ends[-1]
        return Speed(*(tokens / (end - start) for start, end in zip(first, last, strict=True)))


def padded(rows: Sequence[Row], fills: Mapping[str, int], width: int = 0) -> Batch:
    """Rows as a batch, padded on the right to the longest or to a width."""
    width = max(width, *(len(row["input_ids"]) for row in rows))
    found = {}
    for name, value in rows[0].items():
        if isinstance(value, list):
            filled = [row[name] + [fills.get(name, 0)] * (width - len(row[name])) for row in rows]
            found[name] = torch.tensor(filled)
        else:
            found[name] = torch.tensor([row[name] for row in rows])
    return found


def by_hand(
    model: Any, rows: Sequence[Row], fills: Mapping[str, int], hparams: Mapping[str, Any], warmup: int
) -> Speed:
    """A bare loop over batches of texts sorted by length, in random order, which are there before the clock starts."""
    size, watch = hparams["batch_size"], Stopwatch(warmup)
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    batches = [padded(ordered[start : start + size], fills) for start in range(0, len(rows), size)]
    order = torch.randperm(len(batches)).tolist()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [{"params": [p for p in trained if p.dim() > 1], "weight_decay": hparams["weight_decay"]},
              {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}]  # fmt: skip
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=hparams["lr"], fused=True)
    schedule, share = hparams["lr_schedule"], hparams["lr_warmup"]
    rate = LambdaLR(optimizer, lambda step: schedule_factor(step, len(batches), schedule, share))
    model.train()
    for number in order:
        optimizer.zero_grad()
        model(**watch.batch(batches[number])).loss.backward()
        nn.utils.clip_grad_norm_(trained, hparams["gradient_clip_val"])
        optimizer.step()
        rate.step()
        watch.step()
    return watch.speed()


class Steps(TrainerCallback):
    """Notes the steps of a Trainer."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:  # noqa: D102
        self.watch.step()


def of_trainer(
    model: Any, rows: Sequence[Row], collate: Callable[[Any], Any], order: str, hparams: Mapping[str, Any], warmup: int
) -> Speed:
    """The Trainer of transformers for one epoch, without evaluation, checkpoints, logs or a bar.

    Args:
        model: Of transformers, or with an adapter of peft.
        rows: Texts as tokens.
        collate: Makes a batch of rows.
        order: ``train_sampling_strategy``: random | group_by_length.
        hparams: Those of the recipe's run.
        warmup: Steps that are not counted.
    """
    watch = Stopwatch(warmup)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, use_cpu=True, num_train_epochs=1, optim="adamw_torch_fused", report_to="none",
            per_device_train_batch_size=hparams["batch_size"], learning_rate=hparams["lr"],
            weight_decay=hparams["weight_decay"], max_grad_norm=hparams["gradient_clip_val"],
            lr_scheduler_type=hparams["lr_schedule"], warmup_steps=hparams["lr_warmup"],
            train_sampling_strategy=order, seed=torch.randint(2**31, ()).item(),
            logging_strategy="no", save_strategy="no", eval_strategy="no", disable_tqdm=True,
            dataloader_pin_memory=False,
        )  # fmt: skip
        callbacks: list[Any] = [Steps(watch)]
        Trainer(
            model, settings, train_dataset=list(rows), callbacks=callbacks,  # type: ignore[arg-type]
            data_collator=lambda found: watch.batch(collate(found)),
        ).train()  # fmt: skip
    return watch.speed()


def text_trainers(rows: Sequence[Row], tokenizer: Any, width: int) -> dict[str, tuple[Sequence[Row], Any, str]]:
    """The ways of transformers' Trainer to make batches of texts: rows, collator, order."""
    fixed = padded(rows, {"input_ids": tokenizer.pad_token_id}, width)
    whole = [{name: values[number] for name, values in fixed.items()} for number in range(len(rows))]
    dynamic = DataCollatorWithPadding(tokenizer)
    return {
        f"Trainer, padded to {width}": (whole, default_data_collator, "random"),
        "Trainer, dynamic padding": (rows, dynamic, "random"),
        "Trainer, grouped by length": (rows, dynamic, "group_by_length"),
    }


def block_trainers(rows: Sequence[Row], tokenizer: Any) -> dict[str, tuple[Sequence[Row], Any, str]]:
    """Those of blocks for a causal model."""
    plain = [{name: row[name] for name in ("input_ids", "attention_mask")} for row in rows]
    dynamic = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    return {
        "Trainer with peft": (plain, dynamic, "random"),
        "Trainer with peft, grouped by length": (plain, dynamic, "group_by_length"),
    }
