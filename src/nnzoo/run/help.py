"""A shorter help: what belongs to the recipe first, Lightning's options in a sentence each."""

import argparse
import re
from typing import Any

TITLES = {
    "data": "data: what is trained on",
    "model": "model: what is trained",
    "baselines": "baselines: what it is compared with",
    "trainer": "trainer: how long, on which devices, at which precision (Lightning's Trainer)",
    "checkpoint": "checkpoint: which epoch is kept as best.ckpt (Lightning's ModelCheckpoint)",
    "figures": "figures: pictures of the run",
    "optimizer": "optimizer: another one than the model's own",
    "lr_scheduler": "lr_scheduler: another one than the model's own",
}
HIDDEN = ("last_checkpoint",)
"""Groups that are left out of the help: their options are those of ``checkpoint``."""

LIGHTNING = ("trainer", "checkpoint", "optimizer", "lr_scheduler", "ckpt_path", "weights_only")


def tidy(parser: Any, prog: str) -> None:
    """Rewrites the help texts of a recipe's parser."""
    parser.usage = f"{prog} [fit|validate|test|predict] [--config NAME_OR_FILE ...] [--OPTION VALUE ...]"
    parser.description = "Without a subcommand: fits, then tests the best checkpoint. A flag wins over every config."
    for action in parser._actions:
        group = action.dest.partition(".")[0]
        if group in HIDDEN or (group == "trainer" and action.dest.endswith(".help")):
            action.help = argparse.SUPPRESS
        elif action.help and group in LIGHTNING:
            action.help = first_sentence(plain(action.help))
        elif action.help and action.help != argparse.SUPPRESS:
            action.help = plain(action.help)
    for name, group in parser.groups.items():
        group.title = TITLES.get(name, group.title)
        group.description = None
        if name in HIDDEN:
            group.title = None


def shortened(text: str) -> str:
    """A formatted help without lists of all classes that could be given, and without what is linked to what."""
    text = re.sub(r",\s+known\s+subclasses:[^)]*\)", ")", text)
    return re.sub(r"\nLinked arguments:\n(?:  .*\n)+", "\n", text)


def plain(text: str) -> str:
    """A docstring's text without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?(?:[^`<]*<)?([\w.]+)>?`", lambda match: match[1].rpartition(".")[2], text)
    text = re.sub(r"`([^`<]+) <[^`>]*>`_+", r"\1", text)
    return " ".join(re.sub(r"``?", "", text).split())


def first_sentence(text: str) -> str:
    """The first sentence of a text."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)[0]
