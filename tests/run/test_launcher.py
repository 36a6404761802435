"""Processes that a launcher has started, and settings that do not make use of them."""

import pytest

from nnzoo import InputError
from nnzoo.run.launcher import check_launched, launched_processes
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
