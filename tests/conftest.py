"""Fixtures that all tests share."""

import lightning as L
import pytest


@pytest.fixture(autouse=True)
def _seeded() -> None:
    L.seed_everything(0, verbose=False)


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """An empty working directory, so that runs/ and caches land in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path
