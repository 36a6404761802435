"""Processes that a launcher has started, and settings that do not make use of them."""

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nnzoo import CNNClassifier, InputError
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


def told_of(layer, device="cpu", processes=2, synchronised=False):
    """What is warned of on a device."""
    strategy = SimpleNamespace(root_device=torch.device(device))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer = SimpleNamespace(world_size=processes, strategy=strategy)
        warn_of_batch_norms(nn.Sequential(layer), trainer, synchronised)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("device", "remedy"),
    [("cpu", "set --trainer.devices 1, since PyTorch"), ("cuda", "set --trainer.sync_batchnorm true.")],
)
def test_batch_norms_of_several_processes_are_told_of_with_what_helps_there(device, remedy):
    (sentence,) = told_of(nn.BatchNorm2d(3), device)
    assert "each of the 2 processes normalises by the mean and the variance of its own share" in sentence
    assert sentence.count("set --") == 1
    assert remedy in sentence


def test_where_nothing_differs_nothing_is_said():
    assert told_of(nn.BatchNorm2d(3), processes=1) == []
    assert told_of(nn.BatchNorm2d(3), "cuda", synchronised=True) == []
    assert told_of(nn.GroupNorm(1, 3)) == []


def test_two_processes_normalise_and_keep_averages_as_they_are_told(in_tmp):
    flags = [
        *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.accelerator", "cpu"),
        *("--trainer.devices", "2", "--trainer.strategy", "ddp", "--baselines", "null", "--figures.draw", "false"),
        *("--model.lr", "1e-12", "--trainer.enable_progress_bar", "false"),
        *("--trainer.callbacks+=support.helpers.RecordBatches", "--trainer.callbacks.folder=."),
    ]
    results = run_ranks(["nnzoo.recipes.cnn", "fit", *flags])
    assert all(result.returncode == 0 for result in results), results
    told = [result.stderr.count("mean and the variance of its own share") for result in results]
    assert told == [1, 0]
    module = CNNClassifier.load_from_checkpoint(next(Path().rglob("last.ckpt")), map_location="cpu").train()
    norm = next(layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d))
    kept, shares = norm.running_mean.clone(), []
    norm.register_forward_pre_hook(lambda _, inputs: shares.append(inputs[0].mean(dim=(0, 2, 3))))
    for rank in range(2):
        (images, _), *_ = torch.load(f"rank{rank}.pt", weights_only=False)
        module(images)
    torch.testing.assert_close(kept, norm.momentum * shares[0])
    assert not torch.allclose(kept, norm.momentum * shares[1])


def test_baselines_of_process_0_are_not_said_to_be_unlike_those_of_the_others(in_tmp):
    flags = [
        *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.accelerator", "cpu"),
        *("--trainer.devices", "2", "--trainer.strategy", "ddp", "--figures.draw", "false"),
    ]
    for result in run_ranks(["nnzoo.recipes.autoencoder", *flags]):
        assert result.returncode == 0, result
        assert "sync_dist" not in result.stderr
    metrics = json.loads(next(Path().rglob("result.json")).read_text())["metrics"]
    assert "baseline/pca/mse" in metrics
