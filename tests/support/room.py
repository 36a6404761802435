"""A room of data and its sources, for the tests of every room."""

import importlib
import importlib.util
import itertools
import os
import sys
from typing import Literal, get_args, get_origin

import pytest
from jsonargparse import ArgumentParser

from nnzoo.errors import InputError
from nnzoo.parameters import parameters_of


class Recorder(dict):
    """Settings that know which of them were read."""

    def __init__(self, settings):
        super().__init__(settings)
        self.read = set()

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.read.add(name)
        return super().get(name, default)


def names(sources):
    """The names of sources, as parameters of a test: those that are downloaded need real data."""
    return [
        pytest.param(name, marks=[
            pytest.mark.realdata,
            pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason=f"needs {source.folder} under $NNZOO_DATA"),
        ] if source.folder else []) for name, source in sources.items()
    ]  # fmt: skip


def module_with(monkeypatch, room, *sources):
    """The module of a room's datamodule as it is where ``sources.py`` has further sources; no other code sees it."""
    found = importlib.import_module(f"nnzoo.data.{room}.sources")
    monkeypatch.setattr(found, "SOURCES", found.SOURCES | {source.name: source for source in sources})
    spec = importlib.util.find_spec(f"nnzoo.data.{room}.module")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def other_value(cls, option):
    """A value that is not the default."""
    parameter = parameters_of(cls)[option]
    default = parameter.default
    if get_origin(parameter.annotation) is Literal:
        return next(choice for choice in get_args(parameter.annotation) if choice != default)
    if isinstance(default, int | float):
        return default + 1 if isinstance(default, int) else default / 2
    return ["other"] if default == () else "other"


def check_that_further_sources_can_be_chosen(cls, known):
    """The command line offers a datamodule's further sources, and the datamodule as it is refuses them by name.

    Args:
        cls: The datamodule with further sources.
        known: The datamodule without.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "data")
    assert f"--data.dataset {{{','.join(cls.sources)}}}" in parser.format_help()
    further = cls.sources.keys() - known.sources.keys()
    assert further
    for name in further:
        with pytest.raises(InputError, match=f"There is no dataset '{name}': choose one of {', '.join(known.sources)}"):
            known(dataset=name)


def check_that_options_act_or_are_refused(cls, settings):
    """Each option acts with the sources that use it, and is refused by the others in a sentence that says what to do.

    Args:
        cls: A datamodule.
        settings: For each source those that it needs.
    """
    assert set(settings) == set(cls.sources)
    options = {option: names for option, (_, names) in cls.acts_with.items() if option != "csv"}  # csv implies itself
    for (option, names), (name, needed) in itertools.product(options.items(), settings.items()):
        other = {**needed, option: other_value(cls, option)}
        if name in names:
            assert cls(**other).dataset == name
            continue
        assert cls(**needed, **{option: parameters_of(cls)[option].default}).dataset == name
        with pytest.raises(InputError) as refused:
            cls(**other)
        said = str(refused.value)
        assert option in said
        way_out = f"does nothing with dataset {name}: leave it out, or set --data.dataset {' or '.join(names)}."
        assert way_out in said or "--data.csv" in said


def check_that_a_source_reads_what_it_says(data):
    """Of the options that only some sources use, a source reads those that it names and no others.

    Args:
        data: A datamodule that has not loaded anything.
    """
    settings = data.source.settings = Recorder(data.source.settings)
    data.prepare_data()
    data.setup()
    data.predict_dataloader()
    assert settings.read & set(data.acts_with) == set(data.source.uses)
