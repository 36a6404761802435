import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from nnzoo.errors import InputError
from nnzoo.modules.autoencoder import Autoencoder
from nnzoo.modules.base import ZooModule
from nnzoo.modules.optimizers import schedule_factor

SETTINGS = {"lr": 0.1, "weight_decay": 0.2}


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0.0, [1] * 9),
        ("constant", 0.5, [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 1, 1, 1]),
        ("linear", 0.0, [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0]),
        ("linear", 0.5, [1 / 4, 2 / 4, 3 / 4, 1, 1, 3 / 4, 2 / 4, 1 / 4, 0]),
        ("cosine", 0.5, [1 / 4, 2 / 4, 3 / 4, 1, 1, (2 + math.sqrt(2)) / 4, 1 / 2, (2 - math.sqrt(2)) / 4, 0]),
        ("multistep", 0.0, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]),
        ("multistep", 0.25, [1 / 2, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]),
        ("cosine", 0.0, [math.cos(math.pi * step / 16) ** 2 for step in range(9)]),
    ],
)
def test_the_schedule_warms_up_and_falls_by_hand_computed_factors(schedule, warmup, expected):
    factors = [schedule_factor(step, 8, schedule, warmup) for step in range(9)]
    assert factors == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("total", "warmup"), [(1, 0.0), (3, 0.4), (1000, 0.1), (7, 0.99)])
def test_the_rate_is_zero_at_the_end_and_stays_there(schedule, total, warmup):
    factors = [schedule_factor(step, total, schedule, warmup) for step in range(total + 3)]
    assert all(0 < factor <= 1 for factor in factors[:total])
    if round(warmup * total) < total:
        assert factors[total:] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_never_rises_after_the_warmup_and_never_falls_within(schedule):
    factors = np.array([schedule_factor(step, 100, schedule, 0.2) for step in range(101)])
    assert (np.diff(factors[:20]) > 0).all()
    assert (np.diff(factors[20:]) <= 0).all()


def module_with(precision="32-true", steps=8, clip=None, **settings):
    module = ZooModule(**{**SETTINGS, **settings})
    module.net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    module._trainer = SimpleNamespace(precision=precision, estimated_stepping_batches=steps, gradient_clip_val=clip)
    return module


def test_weight_decay_falls_on_matrices_and_kernels_but_not_on_biases_and_norms():
    module = module_with()
    groups = module.configure_optimizers()["optimizer"].param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    expected = {name: 0.2 if name in ("net.0.weight", "net.3.weight") else 0.0 for name, _ in module.named_parameters()}
    assert {name: decay[id(p)] for name, p in module.named_parameters()} == expected
    assert all(group["lr"] == 0.1 for group in groups)


def test_frozen_parameters_are_not_given_to_the_optimiser():
    module = module_with()
    module.net[0].requires_grad_(False)
    given = [p for group in module.configure_optimizers()["optimizer"].param_groups for p in group["params"]]
    assert {id(p) for p in given} == {id(p) for p in module.parameters() if p.requires_grad}


def test_weight_decay_is_decoupled_from_the_gradient():
    module = module_with()
    module.double()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    module.configure_optimizers()["optimizer"].step()
    for name, parameter in module.named_parameters():
        factor = 1 - 0.1 * 0.2 if name in ("net.0.weight", "net.3.weight") else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name])


def test_one_step_equals_torchs_reference_adamw():
    module = module_with()
    copies = [nn.Parameter(p.detach().clone()) for p in module.parameters()]
    decayed = [p for p in copies if p.dim() > 1]
    plain = [p for p in copies if p.dim() <= 1]
    reference = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.2}, {"params": plain, "weight_decay": 0.0}], lr=0.1, foreach=False
    )
    optimizer = module.configure_optimizers()["optimizer"]
    for _ in range(3):
        for parameter, copy in zip(module.parameters(), copies, strict=True):
            parameter.grad = torch.randn_like(parameter)
            copy.grad = parameter.grad.clone()
        optimizer.step()
        reference.step()
    for parameter, copy in zip(module.parameters(), copies, strict=True):
        torch.testing.assert_close(parameter, copy)


@pytest.mark.parametrize(
    ("precision", "clip", "fused"),
    [("32-true", None, True), ("32-true", 1.0, True), ("bf16-mixed", None, True), ("bf16-mixed", 1.0, False),
     ("16-mixed", None, False)],
)  # fmt: skip
def test_the_fused_kernel_is_left_out_where_lightning_scales_gradients_or_clips_them_at_low_precision(
    precision, clip, fused
):
    groups = module_with(precision, clip=clip).configure_optimizers()["optimizer"].param_groups
    assert all(bool(group["fused"]) is fused for group in groups)


def test_a_constant_rate_without_warmup_has_no_scheduler_and_needs_no_end():
    assert set(module_with(steps=math.inf).configure_optimizers()) == {"optimizer"}


@pytest.mark.parametrize("settings", [{"lr_schedule": "cosine"}, {"lr_schedule": "linear"}, {"lr_warmup": 0.1}])
def test_a_schedule_without_an_end_is_refused(settings):
    with pytest.raises(InputError, match=r"--trainer.max_epochs or --trainer.max_steps"):
        module_with(steps=math.inf, **settings).configure_optimizers()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_fit_uses_the_scheduled_rate_at_every_optimiser_step_and_ends_at_zero(make_trainer, accumulate):
    rates = []

    class Recorder(Autoencoder):
        def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
            rates.append([group["lr"] for group in optimizer.param_groups])
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    model = Recorder(
        in_shape=(1, 4, 4), latent_dim=2, hidden=(4,), lr=0.01, lr_schedule="linear", lr_warmup=0.25, weight_decay=0.1
    )
    batches = [(torch.rand(2, 1, 4, 4), torch.zeros(2))] * 4 * accumulate
    trainer = make_trainer(max_epochs=2, accumulate_grad_batches=accumulate)
    trainer.fit(model, DataLoader(batches, batch_size=None))
    expected = [0.5, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert [rate[0] for rate in rates] == pytest.approx([0.01 * factor for factor in expected])
    assert all(rate[0] == rate[1] for rate in rates)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": -1.0}, "--model.lr"),
        ({"lr": math.nan}, "lr must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"lr_warmup": 1.0}, "below 1"),
        ({"lr_warmup": -0.1}, "lr_warmup"),
    ],
)
def test_optimiser_settings_out_of_range_are_refused(settings, message):
    ZooModule(**SETTINGS)
    with pytest.raises(InputError, match=message):
        ZooModule(**{**SETTINGS, **settings})


def test_rmsprop_is_torchs_own_and_decays_what_adamw_decays():
    """By hand, for a first step: the mean square is 0.01 g^2, so that the step is 10 lr times the gradient's sign."""
    module = module_with(optimizer="rmsprop", weight_decay=0.0)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.where(torch.rand_like(parameter) < 0.5, -2.0, 2.0)
    optimizer = module.configure_optimizers()["optimizer"]
    optimizer.step()
    for name, parameter in module.named_parameters():
        expected = before[name] - 0.1 * parameter.grad.sign() / 0.1
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-5, atol=1e-5)
    decayed = module_with(optimizer="rmsprop").configure_optimizers()["optimizer"].param_groups
    assert [group["weight_decay"] for group in decayed] == [0.2, 0.0]
