"""What a datamodule becomes by one more source in its room."""

import importlib.util
import sys


def imported_with(monkeypatch, module, source):
    """A datamodule's Python module, imported anew as if ``source`` stood among its room's sources."""
    monkeypatch.setitem(module.SOURCES, source.name, source)
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_with_{source.name}", module.__file__)
    anew = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, anew)
    spec.loader.exec_module(anew)
    return anew
