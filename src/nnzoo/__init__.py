"""nnzoo: a PyTorch Lightning model zoo.

``from nnzoo import VAE, ImageDataModule`` works, yet ``import nnzoo`` alone imports neither torch nor lightning: the
public names stand in ``__init__.pyi``, where type checkers read them too, and are looked up on first use.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def _homes() -> dict[str, str]:
    """Public name to module, from the imports of the stub beside this file."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {name.name: f"{__name__}.{node.module}" for node in imports for name in node.names}


_HOME = _homes()
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nnzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
