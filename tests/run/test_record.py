"""The times in result.json: of the fit, over all its parts, and of the test."""

import json
from types import SimpleNamespace

import lightning as L
import pytest

from nnzoo.run import record as module
from nnzoo.run.record import RunRecord
from support.found import build
from support.quiet import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_resumed_fit_counts_the_time_of_all_its_parts(clock):
    first, second, saved = RunRecord(), RunRecord(), {}
    for run, start in ((first, 100.0), (second, 1000.0)):
        clock.now = start
        run.setup(None, None, "fit")
        if run is second:
            run.load_state_dict(saved)
        run.on_fit_start(None, None)
        clock.now += 30
        saved = run.state_dict()
    assert saved["fit_seconds"] == 60
    second.setup(None, None, "test")
    second.load_state_dict({"fit_seconds": 5.0})
    assert second._seconds["fit"] == 30, "a test loads the checkpoint of an earlier epoch"


def test_fit_and_test_have_a_time_each(clock, tmp_path):
    mlp, data = build("mlp")
    trainer = L.Trainer(**QUIET, default_root_dir=tmp_path, callbacks=[RunRecord()], max_epochs=1)
    record = trainer.callbacks[0]
    for seconds, start, end, run in ((50, "on_fit_start", "on_fit_end", trainer.fit),
                                     (7, "on_test_start", "on_test_end", trainer.test)):  # fmt: skip
        ended = getattr(record, end)

        def wait(*args, seconds=seconds, ended=ended):
            clock.now += seconds
            ended(*args)

        setattr(record, end, wait)
        clock.now += 1000
        run(mlp, data)
        assert start
    written = json.loads((tmp_path / "result.json").read_text())
    assert (written["fit_seconds"], written["test_seconds"]) == (50, 7)
    assert written["parameters"] == sum(parameter.numel() for parameter in mlp.parameters())
    assert written["trained_parameters"] == written["parameters"]
    assert written["epochs"] == 1
