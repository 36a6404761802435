"""The parser of a recipe's command line: LightningCLI's, with errors of one sentence."""

import difflib
import functools
import operator
import re
import sys
from typing import Any, NoReturn, get_args

from lightning.pytorch.cli import LightningArgumentParser

from nnzoo.run.help import shortened

# How jsonargparse words an unknown key on the command line, in a YAML file, and inside a class given by its path.
UNKNOWN_KEY = re.compile(r"unrecognized arguments: --([\w.+]+)|does not accept option '([\w.]+)'|Option '(\w+)' is not")

# How it words that a class given by its path cannot be built, alone and among all types that it tried.
FAILED_CLASS = re.compile(r"Problem with given class_path|Does not validate against any of the Union")


class ZooParser(LightningArgumentParser):
    """Says in one sentence what is wrong with an argument, and names the nearest valid key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known_keys: frozenset[str] = frozenset()
        """Keys that no parser lists because they belong to a class given by its import path."""
        self.allow_abbrev = False  # --trainer.max_epoch is a misspelling, not an abbreviation

    def format_help(self, *args: Any, **kwargs: Any) -> str:
        """The help, without the longest of what jsonargparse adds."""
        return shortened(super().format_help(*args, **kwargs))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints the sentence and exits with code 2."""
        unknown = UNKNOWN_KEY.search(message)
        sentence = self._unknown_key(next(filter(None, unknown.groups()))) if unknown else one_sentence(message)
        sys.stderr.write(f"error: {sentence} See --help.\n")
        sys.exit(2)

    def _unknown_key(self, key: str) -> str:
        known = {action.dest for action in self._actions} | self.known_keys
        if self._subcommands_action is not None:
            known |= {action.dest for parser in self._subcommands_action.choices.values() for action in parser._actions}
        group, _, name = key.rpartition(".")
        siblings = {option.rpartition(".")[2]: option for option in known if option.startswith(f"{group}.")}
        # --data.lr means model.lr; then the group counts: model.latnt_dim means model.latent_dim.
        nearest = sorted(option for option in known if option.rpartition(".")[2] == name)
        nearest += [siblings[match] for match in difflib.get_close_matches(name, siblings, n=1)]
        nearest += difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        return f"there is no option {key}" + (f", did you mean {nearest[0]}?" if nearest else ".")


def keep_whole_numbers(parser: Any) -> None:
    """Lets options of whole numbers or shares tell them apart as typed: 1 batch, and 1.0 of all batches.

    jsonargparse tries types in their order, and Lightning lists float first, of which every whole number is one.
    """
    for action in parser._actions:
        types = get_args(getattr(action, "_typehint", None))
        if {int, float} <= set(types):
            action._typehint = functools.reduce(
                operator.or_, [int, float, *(t for t in types if t not in (int, float))]
            )


def failed_class(error: BaseException) -> str | None:
    """Which class cannot be built and why, of jsonargparse's error; None if that is about something else."""
    if not FAILED_CLASS.search(str(error)):
        return None
    named = re.search(r"Problem with given class_path '([\w.]+)'", str(error))
    while error.__cause__ is not None:
        error = error.__cause__
    reason = " ".join(str(error).split())
    return f"{named[1]} cannot be built: {reason}" if named else reason


def one_sentence(message: str) -> str:
    """A parser's message on one line, without the list of all types that it tried."""
    key = re.search(r'Parser key "([\w.]+)"', message)
    if key is None:
        return " ".join(message.split()).rstrip(".") + "."
    # Each reason starts with a dash; the types that were tried and failed because the value is not None say nothing.
    reasons = [" ".join(reason.split()) for reason in re.split(r"\n\s*- |Errors:", message.partition("\n")[2])]
    given = re.search(r"(?:Given value|Got value): (.*)", message)
    kept = [
        re.sub(r"( Given value type| Got value).*", "", reason).rstrip(".")
        for reason in reasons
        if reason and not re.match(r"Does not validate|Expected a path|Expected a <class 'NoneType'>", reason)
    ]
    kept = [
        re.sub(r"Expected a dot import path string: (.*)", r"write \1 as file.Class or package.Class", k) for k in kept
    ]
    kept = [
        re.sub(
            r"Expected an? <class '(?:collections\.abc\.Sequence|list)'>",
            "write a list in brackets, such as [64, 32] or [name]",
            k,
        )
        for k in kept
    ]
    text = " or ".join(dict.fromkeys(kept))
    text = re.sub(r"Expected an? (?:<class '(\w+)'>|typing\.Literal(\[.*?\]))", r"expected \1\2", text)
    return f"{key.group(1)}: {text}" + (f", got {given.group(1)[:80]}." if given else ".")
