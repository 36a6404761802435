"""The parser of a recipe's command line: LightningCLI's, with errors of one sentence."""

import difflib
import re
import sys
from typing import NoReturn

from lightning.pytorch.cli import LightningArgumentParser

# How jsonargparse words an unknown key on the command line, in a YAML file, and inside a class given by its path.
UNKNOWN_KEY = re.compile(r"unrecognized arguments: --([\w.+]+)|does not accept option '([\w.]+)'|Option '(\w+)' is not")


class ZooParser(LightningArgumentParser):
    """Says in one sentence what is wrong with an argument, and names the nearest valid key."""

    known_keys: frozenset[str] = frozenset()
    """Keys that no parser lists because they belong to a class given by its import path."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints the sentence and exits with code 2."""
        unknown = UNKNOWN_KEY.search(message)
        if unknown:
            message = self._unknown_key(next(filter(None, unknown.groups())))
        message = re.sub(r"Expected an? (<class '(\w+)'>|typing\.Literal)", r"expected \2", " ".join(message.split()))
        message = message.replace("Parser key", "option").rstrip(".")
        sys.stderr.write(f"error: {message}{'' if message.endswith('?') else '.'} See --help.\n")
        sys.exit(2)

    def _unknown_key(self, key: str) -> str:
        known = {action.dest for action in self._actions} | self.known_keys
        if self._subcommands_action is not None:
            known |= {action.dest for parser in self._subcommands_action.choices.values() for action in parser._actions}
        group, _, name = key.rpartition(".")
        siblings = {option.rpartition(".")[2]: option for option in known if option.startswith(f"{group}.")}
        # Compare within the group first: model.latnt_dim means model.latent_dim, and data.lr means model.lr.
        nearest = [siblings[match] for match in difflib.get_close_matches(name, siblings, n=1)]
        nearest += difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        nearest += [option for option in known if option.rpartition(".")[2] == name]
        return f"there is no option {key}" + (f", did you mean {nearest[0]}?" if nearest else "")
