import pytest

from nnzoo.modules.vae import VAE


@pytest.fixture
def no_dequantisation(monkeypatch):
    monkeypatch.setattr(VAE, "_dequantized", lambda self, images, generator: images)
