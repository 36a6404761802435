"""The tiny encoder of the package, made in three minutes on a GPU.

    python benchmarks/tiny_encoder.py src/nnzoo/pretrained/tiny_encoder
    python benchmarks/tiny_encoder.py src/nnzoo/pretrained/tiny_encoder --run runs/mlm/RUN

It is the recipe mlm with more epochs, or with ``--run`` a run of it, whose held-out texts are those of the recipe bert.
The folder gets the weights in float16, the tokenizer, and a README.md with what was measured.
"""

import argparse
import json
import platform
import shutil
import tempfile
from pathlib import Path

from nnzoo.recipes import mlm

from nnzoo import MaskedLanguageModel
from nnzoo.data.text.running import running
from nnzoo.errors import run_main

EPOCHS = "110"
"""The recipe has fewer, for a first look."""
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

- **Data**: {megabytes:.1f} MB of docstrings, comments and reference topics of the standard library of Python {python},
  the training part of nnzoo's `TextDataModule(dataset="stdlib")`: what the recipe `bert` tests on is not among them.
  The texts are under Python's licence (PSF License Version 2), and so are weights made of them.
- **Training**: recipe `mlm`, {epochs} epochs, masks of 15 % drawn anew in each, seed {seed}; {minutes:.0f} minutes on
  {device}.
- **Measured** on held-out texts: {accuracy:.1%} of masked tokens right, perplexity {perplexity:.1f}.
- **Make it again**: `python benchmarks/tiny_encoder.py FOLDER` with the same Python.

```python
from transformers import pipeline

pipeline("fill-mask", model=FOLDER)("Return a [MASK] of all names.")
```
"""


def main() -> None:
    """Trains, unless a run is named, and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the encoder is to be")
    parser.add_argument("--run", type=Path, help="the folder of a run of mlm that is done")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        if options.run is None:
            folder = ["--trainer.default_root_dir", str(root / "runs")]
            mlm.main(["--trainer.max_epochs", EPOCHS, *folder])
        (checkpoint,) = (options.run or root).rglob("best.ckpt")
        result = json.loads((checkpoint.parent / "result.json").read_text(encoding="utf-8"))
        model = MaskedLanguageModel.load_from_checkpoint(checkpoint, map_location="cpu")
        model.export(root / "encoder", half=True)
        config, metrics = model.hparams["config"], result["metrics"]
        card = CARD.format(
            parameters=sum(parameter.numel() for parameter in model.net.parameters()),
            layers=config["num_hidden_layers"], width=config["hidden_size"], vocab=config["vocab_size"],
            positions=config["max_position_embeddings"], megabytes=sum(map(len, running()["train"])) / 1e6,
            python=platform.python_version(), epochs=result["epochs"], seed=result["seed"],
            minutes=result["fit_seconds"] / 60, device=result["devices"], accuracy=metrics["test/accuracy"],
            perplexity=metrics["test/perplexity"],
        )  # fmt: skip
        (root / "encoder" / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(options.folder, ignore_errors=True)
        options.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(root / "encoder", options.folder)


if __name__ == "__main__":
    run_main(main)
