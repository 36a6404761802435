"""What is particular of a family in the tests that run over all of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AUGMENTED = ["--data.shift", "0.1", "--data.rotation", "10"]
"""Flags of images whose augmentation is the same on any number of devices."""


@dataclass(frozen=True)
class Case:
    """One config in those tests; ``tests/cases/STEM.py`` holds one under the config's name, where it needs any.

    Attributes:
        noiseless: Flags that make the loss deterministic, as processes draw different noise on purpose.
        shorter: Settings of the data for runs of seconds.
        quicker: Settings of the model for them.
        other_values: Other valid values of hyperparameters whose type and default do not say what is valid.
        small: Hyperparameters that make a trial quick.
        apart: Hyperparameters that a trial cannot show, as they need a download or other data: tested by themselves.
        flags: Further flags of runs of several processes.
        files: Writes files of a user's, for the documented commands, into the working directory.
        trained_on: Flags of the run that documented commands call runs/NAME/RUN; it trains on those files.
        tied: Baselines that are as good as the recipe on some seeds.
        predicted: How many things ``predict`` finds, where that is not one for each sample of the data.
    """

    noiseless: Sequence[str] = ()
    shorter: Mapping[str, Any] = field(default_factory=dict)
    quicker: Mapping[str, Any] = field(default_factory=dict)
    other_values: Mapping[str, list[Any]] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    apart: Collection[str] = ()
    flags: Sequence[str] = ()
    files: Callable[[], None] = lambda: None
    trained_on: Sequence[str] = ()
    tied: Collection[str] = ()
    predicted: int | None = None

    @property
    def shorter_flags(self) -> list[str]:
        """``shorter`` on the command line."""
        return [f"--data.{name}={value}" for name, value in self.shorter.items()]

    @property
    def quicker_flags(self) -> list[str]:
        """``quicker`` on the command line."""
        return [f"--model.{name}={value}" for name, value in self.quicker.items()]
