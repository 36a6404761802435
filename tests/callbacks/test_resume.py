"""Runs with callbacks that have a state of their own resume to the same bits too."""

import functools

import pytest

from support.found import recipe, run
from support.runs import FLAGS, assert_same_bits, run_folder, run_until_killed

AVERAGED = ("--trainer.callbacks+=nnzoo.callbacks.averaging.EMA", "--trainer.callbacks.decay=0.9")
FINETUNED = ("--trainer.callbacks+=nnzoo.callbacks.finetuning.Finetuning", "--trainer.callbacks.unfreeze_at_epoch=2")
SMALL = ["--model.channels", "[8]"]
STATES = ["state_dict", "optimizer_states", "lr_schedulers"]
pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The metrics and the folder of a run with a callback that is never stopped, made once."""

    @functools.cache
    def trained(callback):
        root = tmp_path_factory.mktemp("whole")
        metrics = run("cnn", [*FLAGS, *SMALL, *callback, "--trainer.default_root_dir", str(root)])
        return metrics, run_folder(root)

    return trained


# Of 9 steps an epoch: before the backbone joins in, in the epoch in which it does, and after its rate has risen.
@pytest.mark.parametrize(
    ("callback", "step", "states"),
    [(AVERAGED, 22, [*STATES, "current_model_state"]), *((FINETUNED, step, STATES) for step in (13, 22, 31))],
)
def test_averaging_and_fine_tuning_resume_to_the_same_bits(callback, step, states, uninterrupted, in_tmp):
    metrics, whole = uninterrupted(callback)
    folder = run_until_killed("cnn", step, [*SMALL, *callback])
    assert recipe("cnn").main(["--resume", str(folder)]) == metrics
    assert_same_bits(whole / "last.ckpt", folder / "last.ckpt", states)
