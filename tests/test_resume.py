"""Killed and resumed gives the bits of the run that was never stopped, for every recipe.

The latter goes through Lightning's own loop, the others take several steps for each of Lightning's.
"""

from pathlib import Path

import pytest

from nnzoo.run import many_steps
from nnzoo.run.checkpoint import read_checkpoint
from nnzoo.run.progress import steps_at
from nnzoo.run.resume import last_checkpoint
from support.found import CASES, case, datamodule_of, recipe, run
from support.runs import BATCHES, assert_same_bits, flags_of, rows, run_folder, run_until_killed

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.mark.parametrize("name", CASES)
def test_killed_in_mid_epoch_and_resumed_gives_the_same_bits(name, in_tmp, monkeypatch):
    with monkeypatch.context() as patch:  # that both give the same bits is seen on the way
        patch.setattr(many_steps, "can_skip", lambda *_: False)
        uninterrupted = run(name, [*flags_of(name), "--trainer.default_root_dir", "whole"])

    data = datamodule_of(name, **case(name).shorter)
    data.setup()
    steps_per_epoch = min(BATCHES, len(data.train_dataloader()))
    folder = run_until_killed(name, step=2 * steps_per_epoch + min(4, steps_per_epoch - 1))
    saved_at = steps_at(read_checkpoint(last_checkpoint(folder)))
    # There is nothing inside the epochs of one whole graph.
    assert saved_at % steps_per_epoch > 0 or steps_per_epoch == 1, "the checkpoint must lie inside an epoch"
    rows_before = rows(folder)
    resumed = recipe(name).main(["--resume", str(folder)])

    whole = run_folder(Path("whole"))
    assert resumed == uninterrupted
    assert rows_before
    assert rows(folder)[: len(rows_before)] == rows_before
    assert rows(folder) == rows(whole)
    for checkpoint in ("last.ckpt", "best.ckpt"):
        keys = ("state_dict", "optimizer_states", "lr_schedulers", "global_step")
        assert_same_bits(whole / checkpoint, folder / checkpoint, keys)
