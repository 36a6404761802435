"""Encoders of texts in the tests over all families."""

from dataclasses import replace

from support.case import Case
from support.pretrained_folders import write_folder
from support.text_files import write_reviews


def write_texts() -> None:
    """FOLDER, reviews.tsv, and new.txt without labels."""
    write_folder("tiny_encoder", "FOLDER")
    write_reviews()


bert = Case(
    shorter={"max_length": 32},
    noiseless=["--model.dropout", "0", "--model.encoder_dropout", "0"],
    other_values={"dropout": [0.1, 0.5], "encoder_dropout": [0.1, 0.3], "last_layers": [1],
                  "lora_targets": [["query"], ["dense"]]},
    # What they are of would have to be saved first; a template acts on raw texts alone, the data have their own.
    apart={"pretrained", "config", "template"},
    files=write_texts,
    trained_on=["--data.train_file", "reviews.tsv"],
)  # fmt: skip
bert_function_lengths = bert_function_statements = replace(bert, files=lambda: None, trained_on=())
