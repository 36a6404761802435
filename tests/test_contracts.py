"""What every module must satisfy, over the recipes found on disk."""

import functools
import inspect
import typing

import lightning as L
import pytest
import torch

from nnzoo import InputError
from support.found import CASES, CONFIGS, LINKS, all_modules, build, model_class, recipe, recipe_of, run

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
}
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def train(name, model=None, batches=3, **trainer_flags):
    """Fits and tests a recipe in a moment; returns (module, test metrics)."""
    L.seed_everything(0, verbose=False)
    module, data = build(name, model)
    limits = {"limit_train_batches": batches, "limit_val_batches": 1, "limit_test_batches": 1}
    trainer = L.Trainer(**{"max_epochs": 2, **QUIET, **limits, **trainer_flags})
    trainer.fit(module, data)
    (metrics,) = trainer.test(module, data, verbose=False)
    return module, metrics


def batch_of(name, part="train"):
    module, data = build(name)
    data.setup()
    return module, next(iter(getattr(data, f"{part}_dataloader")()))


def test_every_module_has_a_recipe():
    assert all_modules() == {model_class(name) for name in CASES}


def predict(module, batch):
    """What ``forward`` makes of a batch's inputs: all its tensors but the last, the target."""
    return module(*batch[:-1])


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_gets_a_gradient(name):
    module, batch = batch_of(name)
    module.training_step(batch, 0).backward()
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_the_mean_of_per_sample_losses(name, monkeypatch):
    module, batch = batch_of(name)
    # The same noise for every sample, so that it does not depend on how the batch is cut.
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self, generator=None: self.fill_(0.5))
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, *_, generator=None: self.fill_(0.25))
    module.eval()
    whole = module.training_step(batch, 0)
    singles = [module.training_step(tuple(t[i : i + 1] for t in batch), 0) for i in range(len(batch[-1]))]
    torch.testing.assert_close(whole, torch.stack(singles).mean())


def alternatives(parameter, hint):
    """Other valid values of a hyperparameter, from its type and default."""
    default = parameter.default
    if typing.get_origin(hint) is typing.Literal:
        return [choice for choice in typing.get_args(hint) if choice != default]
    if parameter.name in OTHER_VALUES:
        return OTHER_VALUES[parameter.name]
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int):
        return [default + 1]
    if isinstance(default, float):
        return [default / 2] if default else [0.5, 0.25]  # a recipe may hold one of them itself
    return [[32, 16]]  # a list of sizes


SMALL = {"architecture": "mlp", "hidden": (16, 8), "channels": (8,), "convs_per_stage": 1}
"""Makes the trials quick, where there is such a choice."""

OTHER_VALUES = {"depth": [8, 10], "torchvision_name": ["mobilenet_v3_small"], "channels": [[4, 8]], "kernel_size": [5],
                "patch_length": [12]}  # fmt: skip
"""Where type and default do not say what is valid."""

ONLINE = {"pretrained"}
"""Hyperparameters that need a download: tested by themselves."""


def small_settings(parameters, hints):
    return {
        key: value
        for key, value in SMALL.items()
        if key in parameters
        and (typing.get_origin(hints[key]) is not typing.Literal or value in typing.get_args(hints[key]))
    }


def hyperparameters():
    for name in CASES:
        for key in inspect.signature(model_class(name)).parameters:
            if key not in (*LINKS, *ONLINE):  # the links follow from the data
                yield name, key


@functools.cache
def fingerprint(name, settings):
    """Test metrics and a checksum of the weights after a moment's training; None if the settings are invalid."""
    try:
        module, metrics = train(name, {key: list(v) if isinstance(v, tuple) else v for key, v in settings})
    except InputError:
        return None
    return tuple(metrics.values()), sum(float(p.detach().double().abs().sum()) for p in module.parameters())


@pytest.mark.parametrize(("name", "key"), list(hyperparameters()))
def test_every_hyperparameter_matters(name, key):
    """In some setting of the others, another value leads to other weights or metrics."""
    hints = typing.get_type_hints(model_class(name).__init__)
    parameters = inspect.signature(model_class(name)).parameters
    small = small_settings(parameters, hints)
    frozen = {k: [tuple(v) if isinstance(v, list) else v for v in alternatives(parameters[k], hints[k])]
              for k in parameters if k not in LINKS}  # fmt: skip
    settings = [{}, *({other: value} for other in frozen if other != key for value in frozen[other])]
    for setting in settings:
        base = small | setting
        before = fingerprint(name, tuple(sorted(base.items())))
        for value in frozen[key]:
            after = fingerprint(name, tuple(sorted((base | {key: value}).items())))
            if before is not None and after is not None and before != after:
                return
    pytest.fail(f"{key} changes nothing in any setting")


@pytest.mark.parametrize("name", CASES)
def test_the_same_seed_gives_the_same_bits(name):
    first, second = train(name), train(name)
    assert first[1] == second[1]
    torch.testing.assert_close(first[0].state_dict(), second[0].state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_loads_with_defaults_and_gives_the_same_outputs(name, tmp_path):
    module, _ = train(name, batches=1)
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = type(module).load_from_checkpoint(tmp_path / "x.ckpt").eval()
    _, batch = batch_of(name, "test")
    with torch.no_grad():
        outputs = (predict(model, batch) for model in (loaded, module.eval()))
        torch.testing.assert_close(*outputs, rtol=0, atol=0)


@pytest.mark.parametrize("name", CASES)
def test_outputs_do_not_depend_on_the_rest_of_the_batch(name):
    module, batch = batch_of(name, "test")
    module.eval()
    with torch.no_grad():
        torch.testing.assert_close(predict(module, batch)[:3], predict(module, tuple(t[:3] for t in batch)))


@pytest.mark.parametrize("name", CASES)
def test_compiling_in_place_keeps_the_names_in_the_checkpoint(name):
    module, batch = batch_of(name)
    names = list(module.state_dict())
    module.eval()
    with torch.no_grad():
        before = predict(module, batch)
        for network in module.children():
            network.compile(backend="eager")
        torch.testing.assert_close(predict(module, batch), before)
    assert list(module.state_dict()) == names


@pytest.mark.parametrize("name", CASES)
def test_bf16_runs_and_stays_near_float32(name):
    metrics, low = train(name)[1], train(name, precision="bf16-mixed")[1]
    assert low["test/loss"] == pytest.approx(metrics["test/loss"], rel=0.02)


@pytest.mark.parametrize("name", CASES)
def test_fast_dev_run_leaves_nothing_behind(name, in_tmp):
    run(name, ["--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu", "--trainer.callbacks", "null"])
    assert not list(in_tmp.rglob("*.ckpt"))
    assert not list(in_tmp.rglob("result.json"))


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_parses(config, capsys):
    with pytest.raises(SystemExit) as end:
        recipe(recipe_of(config) or "vae").main(["--config", config, "--print_config"])
    assert end.value.code == 0
    assert "trainer:" in capsys.readouterr().out
