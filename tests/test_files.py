import json
import math
import os
import subprocess
import sys

import lightning as L
import pytest
from lightning.pytorch.callbacks import Callback

from nnzoo.files import replacing, to_json
from nnzoo.run.record import RunRecord
from support.found import build
from support.quiet import QUIET


def test_the_file_is_written_with_its_missing_folders_and_nothing_else(tmp_path):
    path = tmp_path / "a" / "b" / "result.json"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["result.json"]


def test_readers_see_the_old_content_until_the_block_ends(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with path.open() as reader:
        with replacing(path) as temporary:
            temporary.write_text("new")
            assert temporary.parent == path.parent, "renaming is atomic only within one file system"
            assert path.read_text() == "old"
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("existed", [True, False])
def test_after_an_error_the_old_content_is_intact_and_nothing_is_left_over(tmp_path, error, existed):
    path = tmp_path / "result.json"
    if existed:
        path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise error("half")

    with pytest.raises(error, match="half"):
        write_half()
    assert os.listdir(tmp_path) == (["result.json"] if existed else [])
    assert not existed or path.read_text() == "old"


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_content(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_a_killed_process_leaves_the_old_content(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    program = (
        "import os, pathlib, sys\n"
        "from nnzoo.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('ne')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 9
    assert path.read_text() == "old"


def test_json_is_valid_where_a_number_is_not_finite():
    value = {"a": [1.5, math.nan, (math.inf, "x")], "b": {"c": -math.inf, "d": None, "e": True, "f": 3}}
    text = to_json(value)
    assert json.loads(text) == {"a": [1.5, None, [None, "x"]], "b": {"c": None, "d": None, "e": True, "f": 3}}
    assert text.startswith('{\n  "a": [')
    assert text.endswith("}\n")


class LogsNaN(Callback):
    def on_test_epoch_end(self, trainer, pl_module):
        pl_module.log("test/strange", math.nan)
        pl_module.log("test/endless", math.inf)


@pytest.mark.filterwarnings("ignore:.*")
def test_the_record_of_a_run_is_valid_json_whatever_was_measured(tmp_path):
    module, data = build("mlp")
    trainer = L.Trainer(**QUIET, default_root_dir=tmp_path, callbacks=[LogsNaN(), RunRecord()])
    trainer.test(module, data, verbose=False)

    def fail(constant):
        raise AssertionError(f"{constant} is no JSON")

    record = json.loads((tmp_path / "result.json").read_text(), parse_constant=fail)
    assert record["metrics"]["test/strange"] is None
    assert record["metrics"]["test/endless"] is None
    assert record["metrics"]["test/loss"] == float(trainer.callback_metrics["test/loss"])
