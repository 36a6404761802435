"""Training speed of the recipes ``bert`` and ``lora`` on a CPU beside a loop by hand and transformers' Trainer.

    python -m benchmarks.text_speed encoder
    python -m benchmarks.text_speed encoder --model ~/data/models/all-MiniLM-L6-v2
    python -m benchmarks.text_speed lora --model FOLDER --data.batch_size 8

``encoder``: the recipe ``bert`` with its config ``bert_sst2`` fine-tunes an encoder on sentences of film reviews, or on
``--data.train_file``. ``lora``: the recipe ``lora`` adapts a decoder.

All train the same model on the same texts, once each, with the same tokens, optimiser, schedule, clipping and dropout.
Texts are tokenised before, and so are the bare loop's batches made, of texts sorted by length. Trainer pads to
``max_length``, or to the longest text of a batch, or groups texts by their length as well. Validation, checkpoints,
logs and bars are left out for all. What is timed goes from the end of a few first steps to the end of the last, batches
included. All take turns, round after round, so that a change in the machine's load meets all; ratios are those of the
processor's time (set ``OMP_NUM_THREADS=1``), so that other programs do not count, and what counts is their median.
Further flags go to the recipe.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any
from unittest import mock

import lightning as L
import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM

from benchmarks.fits import NVML
from benchmarks.measuring import quiet, shown, spread
from benchmarks.text_contenders import Row, Speed, Stopwatch, block_trainers, by_hand, of_trainer, text_trainers
from nnzoo import BertClassifier, LoRACausalLM, TextClassificationDataModule, TextDataModule
from nnzoo.data.sampler import BatchIndex
from nnzoo.nets.lora_base import without_dropout
from nnzoo.nets.pretrained import folder_of
from nnzoo.run.cli import ZooCLI
from nnzoo.tokens import IGNORED

KINDS: dict[str, tuple[str, str, Any, Any, str]] = {
    "encoder": ("bert", "bert_sst2", {"classification": BertClassifier}, TextClassificationDataModule, "tiny_encoder"),
    "lora": ("lora", "lora", LoRACausalLM, TextDataModule, "tiny_decoder"),
}


class First(Dataset[Any]):
    """The first samples of a dataset, fetched as it does."""

    def __init__(self, whole: Any, count: int) -> None:
        self.whole, self.lengths = whole, whole.lengths[:count]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitems__(self, batch: BatchIndex) -> Any:
        return self.whole.__getitems__(batch)

    def rows(self) -> list[Row]:
        """The samples one by one, as lists."""
        found = []
        for number in range(len(self)):
            batch = self.whole.__getitems__(BatchIndex(torch.tensor([number]), 0, slice(None), 1))
            found.append({name: values[0].tolist() for name, values in batch.items()})
        return found


class Clock(L.Callback):
    """Takes so many training samples only, and times their steps."""

    samples, warmup = 0, 0

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:  # noqa: D102
        parts: Any = trainer.datamodule.parts  # type: ignore[attr-defined]
        if not isinstance(parts["train"], First):
            parts["train"] = First(parts["train"], self.samples)
        self.watch = Stopwatch(self.warmup)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: D102
        self.watch.batch(batch)
        self.watch.step()


def of_recipe(kind: str, model: str, seed: int, flags: Sequence[str]) -> tuple[Speed, ZooCLI]:
    """Speed of the recipe, and what it was built of."""
    recipe, config, classes, data, _ = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, NVML):
        args = f"fit --config {config} --trainer.default_root_dir {folder} --trainer.accelerator cpu --baselines null"
        args += f" --model.pretrained {model} --seed_everything {seed} --trainer.max_epochs 1 --figures.draw false"
        args += " --trainer.limit_val_batches 1 --trainer.limit_test_batches 1 --trainer.enable_progress_bar false"
        args += f" --trainer.callbacks+={__name__}.Clock"
        cli = ZooCLI(classes, data, recipe=recipe, args=[*args.split(), *flags])
    clock = next(callback for callback in cli.trainer.callbacks if isinstance(callback, Clock))
    return clock.watch.speed(), cli


def plain_model(cli: ZooCLI) -> Any:
    """The model of transformers that the recipe trains, anew: with its dropout, and its adapter made by peft itself."""
    hparams = cli.model.hparams
    if isinstance(cli.model, BertClassifier):
        module = BertClassifier(**hparams)
        module.load_pretrained()
        return module.net.model
    settings = LoraConfig(
        task_type=TaskType.CAUSAL_LM, r=hparams["r"], lora_alpha=hparams["alpha"], lora_dropout=hparams["dropout"],
        target_modules=hparams["target_modules"],
    )  # fmt: skip
    base = AutoModelForCausalLM.from_pretrained(folder_of(hparams["pretrained"]), dtype=torch.float32)
    return get_peft_model(without_dropout(base), settings)  # type: ignore[arg-type]


def contenders(cli: ZooCLI, warmup: int) -> dict[str, Callable[[], Speed]]:
    """What the recipe is compared with, on what it was built of."""
    data: Any = cli.datamodule
    rows, tokenizer = data.parts["train"].rows(), data.text_tokenizer
    names = ("batch_size", "lr", "weight_decay", "lr_schedule", "lr_warmup")
    known = {**cli.model.hparams, **data.hparams}
    hparams = {**{name: known[name] for name in names}, "gradient_clip_val": cli.trainer.gradient_clip_val}
    fills = {"input_ids": data.pad_token_id, "labels": IGNORED}
    found: dict[str, Callable[[], Speed]] = {
        "bare loop": lambda: by_hand(plain_model(cli), rows, fills, hparams, warmup)
    }
    encodes = isinstance(cli.model, BertClassifier)
    trainers = text_trainers(rows, tokenizer, data.max_length) if encodes else block_trainers(rows, tokenizer)
    for name, way in trainers.items():
        found[name] = lambda way=way: of_trainer(plain_model(cli), *way, hparams, warmup)  # type: ignore[misc]
    return found


def main() -> None:
    """Prints the speeds of all and the median of the recipe's ratios to them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--model", help="a packaged model, a folder, or a name on the Hugging Face hub")
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which all take turns")
    parser.add_argument("--steps", type=int, default=100, help="steps of each in a round")
    parser.add_argument("--warmup", type=int, default=3, help="steps before the clock starts")
    parser.add_argument("--batch_size", type=int, default=32, help="texts of a step")
    args, flags = parser.parse_known_args()
    Clock.samples, Clock.warmup = args.steps * args.batch_size, args.warmup
    flags += ["--data.batch_size", str(args.batch_size)]
    found: dict[str, list[Speed]] = {}
    for number in range(args.rounds):
        with quiet():
            own, cli = of_recipe(args.kind, args.model or KINDS[args.kind][-1], number, flags)
            speeds = {"nnzoo": own, **{name: run() for name, run in contenders(cli, args.warmup).items()}}
        for name, speed in speeds.items():
            found.setdefault(name, []).append(speed)
        print(", ".join(f"{name} {speed.process:,.0f}" for name, speed in speeds.items()), "tokens/s", flush=True)
    print(f"\n{'contender':38}{'tokens/s':>10}{'wall':>10}  nnzoo to it, median [quartiles] of {args.rounds} rounds")
    for name, speeds_of in found.items():
        ratios = [own.process / other.process for own, other in zip(found["nnzoo"], speeds_of, strict=True)]
        process, wall = (median(speed[kind] for speed in speeds_of) for kind in (0, 1))
        print(f"{name:38}{process:10,.0f}{wall:10,.0f}  {shown(spread(ratios, 3), 3)}")


if __name__ == "__main__":
    main()
