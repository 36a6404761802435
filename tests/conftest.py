"""Fixtures that all tests share."""

import functools
import os

# The networks here are tiny: more threads only wait for each other, the more so beside other jobs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lightning as L
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """All tests are shared out to workers, where there is pytest-xdist; those chosen by path or -k run here."""
    option, all_files = config.option, config.args_source is pytest.Config.ArgsSource.TESTPATHS
    shared_out = all_files and not option.keyword and not hasattr(config, "workerinput")
    if shared_out and getattr(option, "numprocesses", 0) is None:
        option.numprocesses, option.maxprocesses, option.dist = "logical", 4, "worksteal"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    L.seed_everything(0, verbose=False)


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """An empty working directory, so that runs/ and caches land in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """Runs a recipe for a moment, once for all tests, which leave its folder as it is."""
    from support.runs import smoke  # it looks for every recipe

    @functools.cache
    def run_once(name):
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp(name)
            patch.chdir(folder)
            patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
            return smoke(name)

    return run_once


@pytest.fixture
def make_trainer(tmp_path):
    def make(**settings):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        settings = {"enable_checkpointing": False, **quiet, **settings}
        return L.Trainer(accelerator="cpu", devices=1, default_root_dir=tmp_path, **settings)

    return make


@pytest.fixture
def trained_forecaster(tmp_path):
    """Trains a forecaster for a moment on a table; returns (module, data, test metrics)."""
    from support.forecaster import train

    return functools.partial(train, tmp_path)
