"""nnzoo: a PyTorch Lightning model zoo.

``from nnzoo import VAE, ImageDataModule`` works, yet ``import nnzoo`` alone imports neither torch nor lightning:
the public names are looked up on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnzoo.cli import ZooCLI
    from nnzoo.data.forecast import ForecastDataModule
    from nnzoo.data.image import ImageDataModule
    from nnzoo.data.sequence import SequenceDataModule
    from nnzoo.data.strings import StringPairsDataModule
    from nnzoo.errors import InputError
    from nnzoo.modules.autoencoder import Autoencoder
    from nnzoo.modules.forecaster import Forecaster
    from nnzoo.modules.seq2seq import Seq2Seq
    from nnzoo.modules.sequence_classifier import SequenceClassifier, SequenceRegressor
    from nnzoo.modules.sequence_generator import SequenceGenerator
    from nnzoo.modules.sequence_tagger import SequenceTagger
    from nnzoo.modules.vae import VAE

__version__ = "0.1.0"
__all__ = [
    "VAE",
    "Autoencoder",
    "ForecastDataModule",
    "Forecaster",
    "ImageDataModule",
    "InputError",
    "Seq2Seq",
    "SequenceClassifier",
    "SequenceDataModule",
    "SequenceGenerator",
    "SequenceRegressor",
    "SequenceTagger",
    "StringPairsDataModule",
    "ZooCLI",
]

_HOME = {
    "Autoencoder": "nnzoo.modules.autoencoder",
    "ForecastDataModule": "nnzoo.data.forecast",
    "Forecaster": "nnzoo.modules.forecaster",
    "ImageDataModule": "nnzoo.data.image",
    "InputError": "nnzoo.errors",
    "SequenceClassifier": "nnzoo.modules.sequence_classifier",
    "SequenceDataModule": "nnzoo.data.sequence",
    "SequenceRegressor": "nnzoo.modules.sequence_classifier",
    "SequenceTagger": "nnzoo.modules.sequence_tagger",
    "Seq2Seq": "nnzoo.modules.seq2seq",
    "SequenceGenerator": "nnzoo.modules.sequence_generator",
    "StringPairsDataModule": "nnzoo.data.strings",
    "VAE": "nnzoo.modules.vae",
    "ZooCLI": "nnzoo.cli",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nnzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
