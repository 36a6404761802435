import lightning as L
import pytest

from nnzoo.modules.vae import VAE


@pytest.fixture
def make_trainer(tmp_path):
    def make(**settings):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        settings = {"enable_checkpointing": False, **quiet, **settings}
        return L.Trainer(accelerator="cpu", devices=1, default_root_dir=tmp_path, **settings)

    return make


@pytest.fixture
def no_dequantisation(monkeypatch):
    monkeypatch.setattr(VAE, "_dequantized", lambda self, images, generator: images)
