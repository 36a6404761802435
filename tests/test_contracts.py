"""What every module must satisfy, over the recipes found on disk."""

import functools
import inspect
import typing

import lightning as L
import pytest
import torch
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import InputError
from nnzoo.data.facts import facts_of
from nnzoo.parameters import parameters_of, same_value, switched_off
from support import found
from support.found import CASES, CONFIGS, RECIPES, all_modules, build, case, datamodule_classes, model_class
from support.quiet import QUIET
from support.runs import QUICK

OVERLAYS = [name for name in CONFIGS if found.recipe_of(name) is None and name not in QUICK]  # which is on all runs
pytestmark = pytest.mark.filterwarnings("ignore:.*")


data_of = functools.cache(found.datamodule_of)


def train(name, model=None, batches=3, data=None, **trainer_flags):
    """Fits and tests a recipe in a moment; returns (module, test metrics)."""
    L.seed_everything(0, verbose=False)
    module, data = build(name, model, datamodule=data)
    limits = {"limit_train_batches": batches, "limit_val_batches": 1, "limit_test_batches": 1}
    trainer = L.Trainer(**{"max_epochs": 2, **QUIET, **limits, **trainer_flags})
    trainer.fit(module, data)
    (metrics,) = trainer.test(module, data, verbose=False)
    return module, metrics


@functools.cache
def trained(name):
    """The fit that several tests look at; none of them changes the module."""
    return train(name, case(name).quicker)


def batch_of(name, part="train"):
    """A module, its data and a batch of a part."""
    module, data = build(name)
    data.setup()
    return module, data, next(iter(getattr(data, f"{part}_dataloader")()))


def predicted(module, batch):
    """What a module predicts for a batch, always with the same noise."""
    L.seed_everything(0, verbose=False)
    with torch.no_grad():
        return module.predict_step(batch, 0)


def assert_same(first, second, **tolerance):
    """Equal trees of tensors and texts."""
    for one, other in zip(tree_leaves(first), tree_leaves(second), strict=True):
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(one, other, **tolerance)
        else:
            assert one == other


def samples(data, batch, rows):
    """Some samples of a batch; skips where a batch cannot be divided."""
    chosen = data.select(batch, rows)
    if chosen is None:
        pytest.skip("a batch of these data is one whole")
    return chosen


def test_every_module_has_a_recipe():
    packaged = [name for name in CASES if name in CONFIGS]
    assert all_modules() == {model_class(name) for name in packaged}


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_gets_a_gradient(name):
    module, _, batch = batch_of(name)
    for parameter in module.parameters():
        if not parameter.any():  # layers that begin at zero hide those before them
            torch.nn.init.normal_(parameter, std=0.02)
    module.contract_loss(batch).backward()
    for key, parameter in module.named_parameters():
        assert not parameter.requires_grad or (parameter.grad is not None and parameter.grad.any()), key


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_the_mean_of_per_sample_losses(name, monkeypatch):
    module, data, batch = batch_of(name)
    # The same noise for every sample, so that it does not depend on how the batch is cut.
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self, generator=None: self.fill_(0.5))
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, *_, generator=None: self.fill_(0.25))
    module.eval()
    whole = module.contract_loss(batch)
    singles = [module.contract_loss(samples(data, batch, slice(i, i + 1))) for i in range(data.size_of(batch))]
    weights = torch.ones(len(singles)) if (given := module.loss_weights(batch)) is None else torch.as_tensor(given)
    torch.testing.assert_close(whole, (torch.stack(singles) * weights).sum() / weights.sum())


def alternatives(parameter, other_values):
    """Other valid values of a hyperparameter, from its type and default."""
    default, hint = parameter.default, parameter.annotation
    if typing.get_origin(hint) is typing.Literal:
        return [choice for choice in typing.get_args(hint) if choice != default]
    if parameter.name in other_values:
        return other_values[parameter.name]
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int):
        return [default + 1, default + 2]
    if isinstance(default, float):
        return [default / 2, default / 4] if default else [0.5, 0.25]
    return [[32, 16]]  # a list of sizes


TWO_CLASSES = {"positive_class"}
"""Hyperparameters that act on two classes only, which no recipe's data have; tests/modules/test_mlp.py tries them."""


def tried(name):
    """The hyperparameters of a module whose effect is tried: the facts follow from the data."""
    facts = {fact for cls in datamodule_classes(name) for fact in facts_of(cls)}
    left_out = {*facts, *case(name).apart, *TWO_CLASSES}
    return {key: p for key, p in parameters_of(model_class(name)).items() if key not in left_out}


def options(name):
    """The hyperparameters of a module that act under some values of a choice alone: (choice, values) by name."""
    bases = reversed(model_class(name).__mro__)
    return {key: when for base in bases for key, when in vars(base).get("acts_with", {}).items()}


@functools.cache
def fingerprint(name, settings):
    """Test metrics, and checksums of the weights after a moment's training and of what a module draws with them.

    None if the settings are invalid.
    """
    model, own = {key: list(v) if isinstance(v, tuple) else v for key, v in settings}, found.model_settings(name)
    try:
        model |= switched_off(model_class(name), own | model, [own, case(name).small])
        module, metrics = train(name, model, data=data_of(name))
    except InputError:
        return None
    L.seed_everything(0, verbose=False)
    drawn = L.Trainer(**QUIET).predict(module, module.drawing_loader()) if module.draws else []
    return tuple(metrics.values()), *(sum(float(x.detach().double().abs().sum()) for x in of)
                                      for of in (module.parameters(), drawn))  # fmt: skip


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in CASES for key in tried(name)])
def test_every_hyperparameter_matters(name, key):
    """In some setting of the others, another value leads to other weights or metrics."""
    other_values, small = case(name).other_values, case(name).small
    own = found.model_settings(name)
    values = {k: [tuple(v) if isinstance(v, list) else v for v in [*alternatives(p, other_values), p.default]
                  if not same_value(v, own.get(k, p.default))] for k, p in tried(name).items()}  # fmt: skip
    choice, acting = options(name).get(key, (None, ()))
    settings = [{}, *({choice: value} for value in acting)]  # where it is said to act comes first, and saves the rest
    settings += [{other: value} for other in values if other != key for value in values[other]]
    for setting in settings:
        base = {**small, **setting}
        for value in values[key]:
            after = fingerprint(name, tuple(sorted({**base, key: value}.items())))
            if after is not None and fingerprint(name, tuple(sorted(base.items()))) not in (None, after):
                return
    pytest.fail(f"{key} changes nothing in any setting; tried {values[key]}: Case.other_values names others")


@pytest.mark.parametrize("name", CASES)
def test_a_hyperparameter_that_does_not_act_is_refused(name):
    parameters, own = tried(name), found.model_settings(name)
    for key, (choice, values) in options(name).items():
        if not {key, choice} <= set(parameters):  # fixed by the class
            continue
        others = [v for v in typing.get_args(parameters[choice].annotation) if v not in values]
        if not others:
            continue
        changed = [v for v in alternatives(parameters[key], case(name).other_values) if not same_value(v, own.get(key))]
        if changed:  # a recipe's own value would be dropped, not refused
            with pytest.raises(InputError, match=f"{key} does nothing with {choice}"):
                build(name, {choice: others[0], key: changed[0]})


@pytest.mark.parametrize("name", CASES)
def test_the_same_seed_gives_the_same_bits(name):
    first, second = trained(name), train(name, case(name).quicker)
    assert first[1] == second[1]
    torch.testing.assert_close(first[0].state_dict(), second[0].state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_loads_with_defaults_and_gives_the_same_outputs(name, tmp_path):
    module, _ = trained(name)
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = type(module).load_from_checkpoint(tmp_path / "x.ckpt", map_location="cpu").eval()
    taken = set(parameters_of(type(module)))
    assert set(torch.load(tmp_path / "x.ckpt", weights_only=True)["hyper_parameters"]) == taken
    assert taken <= set(loaded.hparams), "besides what the class fixes"
    _, _, batch = batch_of(name, "test")
    assert_same(predicted(loaded, batch), predicted(module.eval(), batch), rtol=0, atol=0)


@pytest.mark.parametrize("name", CASES)
def test_outputs_do_not_depend_on_the_rest_of_the_batch(name):
    module, data, batch = batch_of(name, "test")
    module.eval()
    whole, few = (predicted(module, some) for some in (batch, samples(data, batch, slice(0, 3))))
    if isinstance(whole, torch.Tensor | list):
        assert_same(whole[:3], few)
    else:
        assert_same({key: value[:3] for key, value in whole.items()}, few)


def plain_loader(name, data):
    """A loader of tensors as any user has one, from a family's samples; of batches as they are where these are none."""
    batch = next(iter(data.train_dataloader()))
    if not isinstance(batch, tuple):
        return DataLoader([batch], batch_size=None)
    return DataLoader(TensorDataset(*batch), batch_size=max(1, len(batch[-1]) // 2), shuffle=True)


@pytest.mark.parametrize("name", CASES)
def test_a_module_trains_on_any_loader_without_our_datamodules(name, tmp_path):
    module, data = build(name, case(name).quicker)
    data.setup()
    loader = plain_loader(name, data)
    trainer = L.Trainer(**{**QUIET, "use_distributed_sampler": True}, max_epochs=1)
    trainer.fit(module, loader, loader)
    (metrics,) = trainer.test(module, loader, verbose=False)
    assert torch.isfinite(torch.tensor(metrics["test/loss"]))
    assert len(trainer.predict(module, loader)) == len(loader)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = type(module).load_from_checkpoint(tmp_path / "x.ckpt", map_location="cpu")
    assert_same(dict(loaded.state_dict()), dict(module.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("name", CASES)
def test_compiling_in_place_keeps_the_names_in_the_checkpoint(name):
    module, _, batch = batch_of(name)
    names = list(module.state_dict())
    module.eval()
    before = predicted(module, batch)
    for network in module.children():
        network.compile(backend="eager")
    assert_same(predicted(module, batch), before)
    assert list(module.state_dict()) == names


@pytest.mark.parametrize("name", CASES)
def test_bf16_runs_and_stays_near_float32(name):
    metrics, low = trained(name)[1], train(name, case(name).quicker, precision="bf16-mixed")[1]
    assert low["test/loss"] == pytest.approx(metrics["test/loss"], rel=0.02)


@pytest.mark.parametrize("name", CASES)
def test_fast_dev_run_leaves_nothing_behind(name, in_tmp):
    flags = ["--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    found.run(name, [*flags, *case(name).quicker_flags])
    assert not list(in_tmp.rglob("*.ckpt"))
    assert not list(in_tmp.rglob("result.json"))


@pytest.mark.parametrize("config", [name for name in CONFIGS if found.recipe_of(name)])
def test_every_config_parses(config, capsys):
    with pytest.raises(SystemExit) as end:
        found.run(config, ["--print_config"])
    assert end.value.code == 0
    assert "trainer:" in capsys.readouterr().out


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_overlay_runs_on_every_recipe(name, overlay, in_tmp, monkeypatch):
    """Runs from start to test, or says in one sentence what this machine or this family lacks."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    flags = [*QUICK, "--config", overlay, *case(name).shorter_flags, *case(name).quicker_flags]
    text = CONFIGS[overlay].read_text()
    unsuited = "accelerator: gpu" in text and not torch.cuda.is_available()
    unsuited |= "Finetuning" in text and not hasattr(model_class(name), "backbone")
    unsuited |= "ShardedStrategy" in text and not model_class(name).shardable
    if "accelerator: gpu" in text:
        del flags[2:4]  # the accelerator is the overlay's
    if unsuited:
        with pytest.raises(InputError, match=r"cannot be set up|with torchrun or srun|no backbone|to be divided"):
            found.run(name, flags)
    else:
        assert "test/loss" in found.run(name, flags)


def test_constructors_take_plain_keywords_only():
    for name in CASES:
        for parameter in inspect.signature(model_class(name).__init__).parameters.values():
            assert parameter.name == "self" or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD)
