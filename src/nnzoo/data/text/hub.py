"""Data sets of the Hugging Face hub, streamed where they are large."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.data.text.files import USUAL_LABELS, USUAL_TEXTS, as_text, column_of
from nnzoo.data.text.rows import Columns, say_which
from nnzoo.errors import InputError

LARGE = 2**30
"""Bytes of a data set beyond which it is streamed rather than downloaded first."""
BUFFER = 10_000
"""Samples of a stream among which the next one is chosen."""
PARTS = {"train": "train", "validation": "val", "valid": "val", "dev": "val", "test": "test"}
"""Which part a split of the hub is."""


class HubSet:
    """A data set of the hub, by its name.

    Args:
        name: Such as stanfordnlp/imdb, or a folder.
        config: Which of its configurations; None for its only one.
        most: The most samples to take of each part.
    """

    def __init__(self, name: str, config: str | None = None, most: int | None = None) -> None:
        self.name, self.config, self.most = name, config, most

    @cached_property
    def splits(self) -> dict[str, Any]:
        """The set's splits by the part they are.

        Raises:
            InputError: If it cannot be had, or has nothing to train on.
        """
        try:
            import datasets
        except ImportError as error:
            raise InputError("Data sets of the hub need datasets: pip install datasets.") from error
        try:
            builder = datasets.load_dataset_builder(self.name, self.config)
            large = (builder.info.download_size or builder.info.dataset_size or 0) > LARGE
            if large and self.most is None:
                raise InputError(
                    f"The data set {self.name} is large: say how many texts of each part to take by "
                    "--data.most_samples, which are then streamed."
                )
            found = datasets.load_dataset(self.name, self.config, streaming=large)
        except InputError:
            raise
        except Exception as error:  # of the network, of names, of configurations: it has kinds of its own for each
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"The data set {self.name} cannot be had from the Hugging Face hub ({type(error).__name__}: {reason}): "
                "check its name, --data.hub_config and the network, or give files as --data.train_file."
            ) from error
        parts = {PARTS[name]: split for name, split in found.items() if name in PARTS}
        if "train" not in parts:
            raise InputError(f"The data set {self.name} has no split train, but {', '.join(found)}.")
        unused = sorted(set(found) - set(PARTS))
        if unused and len(parts) < 3:  # such as the two test parts of MNLI
            drawn = " and ".join(part for part in ("val", "test") if part not in parts)
            rank_zero_warn(
                f"The splits {', '.join(unused)} of {self.name} are not used, and {drawn} is drawn from train: save "
                "those that you want as files, for --data.val_file and --data.test_file."
            )
        return parts

    @property
    def features(self) -> dict[str, Any]:
        """Its columns."""
        return dict(self.splits["train"].features or next(iter(self.splits["train"])))

    def columns(self, text: str | None, pair: str | None, target: Sequence[str]) -> Columns:
        """Which of its columns are what: those named, or those of usual names."""
        labels = [self.column(name, (), "target") for name in target]
        found = self.column(text, USUAL_TEXTS, "text")
        columns = Columns(found, pair, labels or [self.column(None, USUAL_LABELS, "target")])
        say_which(list(self.features), columns, text, self.name)
        return columns

    def column(self, name: str | None, usual: Sequence[str], option: str) -> str:
        """The column of a name, or of the first of the usual names that is there."""
        return column_of(pd.DataFrame(columns=list(self.features)), name, usual, option, self.name)

    def rows(self, part: str) -> Iterator[dict[str, Any]]:
        """The samples of a part, one by one; of some of them a random choice, the same each time."""
        split = self.splits[part]
        if self.most is None:
            return iter(split)
        # The first ones may be of one class only: many sets are sorted by it. A stream is shuffled in part.
        buffer = {} if hasattr(split, "__len__") else {"buffer_size": BUFFER}
        return iter(split.shuffle(seed=0, **buffer).take(self.most))

    def frames(self, columns: Sequence[str | None]) -> dict[str, pd.DataFrame]:
        """Some columns of each part as texts, classes by their names; parts without known classes are left out."""
        names = [name for name in columns if name is not None]
        classes = {name: kind.names for name, kind in self.features.items() if hasattr(kind, "int2str")}
        frames = {}
        for part in self.splits:
            rows = [{name: self._text(row[name], classes.get(name)) for name in names} for row in self.rows(part)]
            frame = pd.DataFrame(rows, columns=names)
            unknown = [name for name in classes if name in frame and len(frame) and (frame[name] == "").all()]
            if unknown:
                rank_zero_warn(f"The part {part} of {self.name} has no {unknown[0]} and is left out.")
            elif len(frame):
                frames[part] = frame
        return frames

    @staticmethod
    def _text(value: Any, classes: Sequence[str] | None) -> str:
        if classes is None:
            return as_text(value)
        return classes[value] if value is not None and value >= 0 else ""
