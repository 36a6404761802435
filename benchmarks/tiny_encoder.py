"""The tiny encoder of the package, made in about a quarter of an hour on one CPU core.

    python benchmarks/tiny_encoder.py src/nnzoo/pretrained/tiny_encoder

It is the recipe mlm on the training part of the docstrings that the recipe bert classifies, so that their test part is
new to it. The folder gets the weights in float16, the tokenizer, and a README.md with what was measured.
"""

import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from nnzoo.recipes import mlm

from nnzoo import InputError, MaskedLanguageModel, TextClassificationDataModule
from nnzoo.errors import run_main

FLAGS = ["--trainer.max_epochs", "60", "--trainer.accelerator", "cpu", "--data.tokenizer", "wordpiece",
         "--data.val_fraction", "0.05", "--data.test_fraction", "0.05"]  # fmt: skip
CARD = """---
license: other
license_name: psf-2.0
language: en
library_name: transformers
pipeline_tag: fill-mask
---
# tiny_encoder

A BERT of {parameters:,} parameters ({layers} layers of width {width}, {vocab:,} pieces of words, {positions}
positions), pretrained to fill in masked words. It is for trying things out without a download, not for use.

- **Data**: {texts:,} docstrings and reference topics of the standard library of Python {python}, the training part of
  nnzoo's `TextClassificationDataModule(dataset="stdlib")` with its default split: what the recipe `bert` tests on is
  not among them. The texts are under Python's licence (PSF License Version 2), and so are weights made of them.
- **Training**: recipe `mlm`, {epochs} epochs, masks of 15 % drawn anew in each, seed {seed}; {minutes:.0f} minutes on
  one CPU core.
- **Measured** on held-out texts: {accuracy:.1%} of masked tokens right, perplexity {perplexity:.1f}.
- **Make it again**: `python benchmarks/tiny_encoder.py FOLDER` with the same Python.

```python
from transformers import pipeline
pipeline("fill-mask", model=FOLDER)("Return a [MASK] of all names.")
```
"""


def main() -> None:
    """Trains, and writes the folder that is named."""
    if len(sys.argv) < 2:
        raise InputError("Name the folder to write: python benchmarks/tiny_encoder.py FOLDER.")
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as found:
        root = Path(found)
        data = TextClassificationDataModule(dataset="stdlib", tokenizer="wordpiece")
        texts = data.texts("train")[0]
        lines = (json.dumps({"text": text}) + "\n" for text in texts)
        (root / "texts.jsonl").write_text("".join(lines), encoding="utf-8")
        runs = ["--trainer.default_root_dir", str(root / "runs"), "--data.train_file", str(root / "texts.jsonl")]
        metrics = mlm.main([*FLAGS, *runs, *sys.argv[2:]])
        (checkpoint,) = root.rglob("best.ckpt")
        result = json.loads((checkpoint.parent / "result.json").read_text(encoding="utf-8"))
        model = MaskedLanguageModel.load_from_checkpoint(checkpoint, map_location="cpu")
        model.export(root / "encoder", half=True)
        config, sizes = model.hparams["config"], (parameter.numel() for parameter in model.net.parameters())
        card = CARD.format(
            parameters=sum(sizes), layers=config["num_hidden_layers"], width=config["hidden_size"],
            vocab=config["vocab_size"], positions=config["max_position_embeddings"], texts=len(texts),
            python=platform.python_version(), epochs=result["epochs"],
            seed=result["seed"], minutes=result["fit_seconds"] / 60, accuracy=metrics["test/accuracy"],
            perplexity=metrics["test/perplexity"],
        )  # fmt: skip
        (root / "encoder" / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(root / "encoder", folder)


if __name__ == "__main__":
    run_main(main)
