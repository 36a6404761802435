"""Two processes see the global batches of one, and end with its weights up to rounding."""

import csv
from pathlib import Path

import pytest
import torch

from nnzoo.tokens import IGNORED, PAD
from support.forked import run_ranks
from support.found import CASES, case, config_flags, datamodule_of, module_name, run

FLAGS = [
    *("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.limit_train_batches", "4", "--trainer.limit_val_batches", "2"),
    *("--model.lr_schedule", "constant", "--baselines", "null"),
    "--trainer.callbacks+=support.helpers.RecordBatches",
]
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def flags_of(name, folder):
    particular = [*case(name).shorter_flags, *case(name).noiseless]
    return [*FLAGS, f"--trainer.callbacks.folder={folder}", f"--trainer.default_root_dir={folder}", *particular]


@pytest.fixture(scope="module", params=CASES)
def trained(request, tmp_path_factory):
    """A config, trained by one process and by two, with the folder of both and the metrics of the one."""
    name, folder = request.param, tmp_path_factory.mktemp("devices")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        one = run(name, [*flags_of(name, "one"), "--figures.draw", "false"], ["fit"])
        devices = ["--trainer.devices", "2", "--trainer.strategy", "ddp", *case(name).flags]
        for result in run_ranks([module_name(name), "fit", *config_flags(name), *flags_of(name, "two"), *devices]):
            assert result.returncode == 0, result.stderr
    return name, folder, one


def test_two_processes_share_the_batches_of_one(trained):
    name, folder, _ = trained
    data = datamodule_of(name, **case(name).shorter)
    data.setup()
    steps = torch.load(folder / "one" / "rank0.pt", weights_only=False)
    ranks = [torch.load(folder / "two" / f"rank{rank}.pt", weights_only=False) for rank in range(2)]
    assert len(steps) == len(ranks[0]) == len(ranks[1]) == 2 * min(4, len(data.train_dataloader()))
    for batch, *parts in zip(steps, *ranks, strict=True):
        for rank, part in enumerate(parts):
            share = data.select(batch, slice(rank, None, 2))
            if share is None:
                pytest.skip(f"{type(data).__name__} takes no samples out of a batch")
            assert data.size_of(part) == data.size_of(share) > 0
            assert_equal_up_to_padding(part, share)


def assert_equal_up_to_padding(part, share):
    """Equal trees of tensors, but that a device pads its own samples only, to the longest among them."""
    assert type(part) is type(share)
    if isinstance(share, torch.Tensor):
        part, share = part.to_dense(), share.to_dense()  # sparse ones cannot be sliced
        own = share[tuple(map(slice, part.shape))]
        torch.testing.assert_close(part, own, rtol=0, atol=0)
        padding = torch.ones_like(share, dtype=torch.bool)
        padding[tuple(map(slice, part.shape))] = False
        assert set(share[padding].tolist()) <= {PAD, IGNORED}
    elif hasattr(share, "to_dict"):  # a graph
        assert_equal_up_to_padding(part.to_dict(), share.to_dict())
    elif isinstance(share, dict):
        assert part.keys() == share.keys()
        for key in share:
            assert_equal_up_to_padding(part[key], share[key])
    elif isinstance(share, list | tuple):
        for item, other in zip(part, share, strict=True):
            assert_equal_up_to_padding(item, other)
    else:
        assert part == share


def test_two_processes_end_with_the_weights_and_the_loss_of_one(trained):
    _, folder, one = trained
    (first,), (second,) = (list((folder / at).rglob("last.ckpt")) for at in ("one", "two"))
    ones, twos = (torch.load(path, weights_only=True)["state_dict"] for path in (first, second))
    assert ones.keys() == twos.keys()
    for key in ones:
        # By their norms: where a gradient is nearly 0, Adam makes a whole step of the rounding in it.
        mine, theirs = ones[key].double(), twos[key].double()
        assert (mine - theirs).norm() <= 1e-3 * mine.norm() + 1e-4 * mine.numel() ** 0.5, key
    assert f"{one['val/loss']:.3f}" in {f"{loss:.3f}" for loss in validation_losses(folder / "two")}


def validation_losses(folder: Path) -> list[float]:
    (metrics,) = folder.rglob("metrics.csv")
    with metrics.open(newline="") as file:
        return [float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"]]
