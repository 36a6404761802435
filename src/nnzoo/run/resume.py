"""Going on with a run that was stopped: with which checkpoint, and what a dead process has left behind."""

from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn

from nnzoo.errors import InputError
from nnzoo.run.checkpoint import read_checkpoint
from nnzoo.run.folder import CONFIG, LAST
from nnzoo.run.progress import steps_at


def last_checkpoint(run_dir: Path) -> Path:
    """The newest whole checkpoint of a run folder; it warns of damaged ones.

    Raises:
        InputError: If it is no run folder, or holds no whole checkpoint.
    """
    if not (run_dir / CONFIG).is_file():
        raise InputError(f"{run_dir} is not a run folder (it has no {CONFIG}): check --resume.")
    steps: dict[Path, int] = {}
    damaged = []
    for path in sorted(run_dir.glob("[!.]*.ckpt")):
        try:
            checkpoint = read_checkpoint(path)
            if "optimizer_states" in checkpoint:  # weights alone cannot be resumed
                steps[path] = steps_at(checkpoint)
        except InputError:
            damaged.append(path.name)
    names = " and ".join(damaged)
    if not steps and damaged:
        raise InputError(f"{names} in {run_dir} cannot be read, and there is no other checkpoint: start the run again.")
    if not steps:
        raise InputError(f"{run_dir} has no checkpoint yet, so there is nothing to resume: start the run again.")
    # Times of change do not survive copying. Of best.ckpt and last.ckpt of one step, last.ckpt has seen both written.
    last = max(steps, key=lambda path: (steps[path], path.stem == LAST))
    if damaged:
        rank_zero_warn(f"{names} in {run_dir} cannot be read: going on from {last.name}, step {steps[last]}.")
    return last


@rank_zero_only
def remove_leftovers(run_dir: Path) -> None:
    """Removes what processes that were killed had begun to write into a run folder."""
    for pattern in ("*.part", ".lr_find_*.ckpt"):
        for path in run_dir.rglob(pattern):
            path.unlink(missing_ok=True)
