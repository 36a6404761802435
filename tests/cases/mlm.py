"""Masked language models in the tests over all families."""

from pathlib import Path

from support.case import Case
from support.pretrained_folders import write_folder


def write_texts() -> None:
    """FOLDER, my_texts.txt: paragraphs of a few sentences."""
    write_folder("tiny_encoder", "FOLDER")
    sentences = ["The list holds names.", "A file is read line by line.", "The parser returns a tree.", "It is empty."]
    parts = [" ".join(sentences[(i + k) % 4] for k in range(3)) for i in range(60)]
    Path("my_texts.txt").write_text("\n\n".join(parts) + "\n")


SMALL = {"width": 16, "num_layers": 1}

mlm = Case(
    noiseless=["--model.dropout", "0"],
    shorter={"block_size": 32},
    quicker=SMALL,
    small=SMALL,
    other_values={"num_heads": [1, 4], "dropout": [0.1, 0.5]},
    apart={"pretrained", "config", "from_scratch"},  # what they are of would have to be downloaded or saved
    files=write_texts,
    trained_on=["--data.train_file", "my_texts.txt"],
)
