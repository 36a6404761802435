"""The causal language model in the tests over all families."""

from pathlib import Path

from support.case import Case
from support.pretrained_folders import write_folder

SMALL = {"width": 16, "num_layers": 1, "num_heads": 2}
# What needs a folder, or changes memory alone, is tested in tests/modules/test_clm.py.
APART = {"pretrained", "config", "gradient_checkpointing"}


def write_texts() -> None:
    """book.txt, of paragraphs, texts.txt, and chats.csv, and a pretrained folder by either name."""
    write_folder("tiny_decoder", "FOLDER", "FOLDER_OR_NAME")
    lines = [f"The {number}th list holds the names of {number} files." for number in range(200)]
    for name in ("book.txt", "texts.txt"):
        Path(name).write_text("\n\n".join(lines) + "\n")
    rows = [f"What is {number} and 1?,It is {number + 1}." for number in range(60)]
    Path("chats.csv").write_text("question,reply\n" + "\n".join(rows) + "\n")


clm = Case(
    noiseless=["--model.dropout", "0"],
    shorter={"vocab_size": 512},
    quicker=SMALL,
    small={**SMALL, "max_new_tokens": 8},
    other_values={"prompt": ["def", ["A", "The list"]], "top_k": [1], "num_heads": [1, 4], "width": [8]},
    apart=APART,
    predicted=1,
    files=write_texts,
)
