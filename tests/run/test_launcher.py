"""Processes that a launcher has started, and settings that do not make use of them."""

from types import SimpleNamespace

import pytest
from torch import nn

from nnzoo import InputError
from nnzoo.run.launcher import check_launched, launched_processes, warn_of_batch_norms
from support.forked import run_ranks
from support.runs import QUICK

CPU = {"accelerator": "cpu", "strategy": "auto", "devices": 1, "num_nodes": 1}


def test_two_processes_of_a_recipe_for_one_device_end_before_they_make_a_folder(in_tmp):
    for result in run_ranks(["nnzoo.recipes.mlp", "fit", *QUICK]):
        if result.returncode < 0:
            continue  # ended because the other one failed
        assert result.returncode == 1
        assert "2 processes were started for settings that make use of 1" in result.stderr
        assert "--trainer.devices" in result.stderr
    assert not (in_tmp / "runs").exists()


@pytest.mark.parametrize("devices", [1, "1", "auto"])
def test_a_launcher_that_disagrees_is_refused(devices, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(InputError, match="make use of 1, so that each would train a model of its own"):
        check_launched({**CPU, "devices": devices})
    check_launched({**CPU, "devices": 2, "strategy": "ddp"})


def test_srun_counts_its_tasks(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_NTASKS_PER_NODE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert launched_processes() == 4
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")  # an interactive shell, whose commands are one process
    assert launched_processes() == 1


def test_without_a_launcher_all_settings_do(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    check_launched({**CPU, "devices": 8, "strategy": "ddp"})


@pytest.mark.parametrize(
    ("layer", "processes", "synchronised", "warns"),
    [(nn.BatchNorm2d, 2, False, True), (nn.BatchNorm2d, 1, False, False), (nn.BatchNorm2d, 2, True, False),
     (nn.Linear, 2, False, False)],
)  # fmt: skip
def test_batch_norms_of_several_processes_are_told_of(layer, processes, synchronised, warns, recwarn):
    model = nn.Sequential(layer(3, 3) if layer is nn.Linear else layer(3))
    warn_of_batch_norms(model, SimpleNamespace(world_size=processes), synchronised)
    assert ["its own share of a batch" in str(warning.message) for warning in recwarn] == [True] * warns
