"""WGAN-GP, WGAN and GAN: how often and on what each of the two networks is trained, and what is refused."""

from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import WGANGP, InputError
from nnzoo.nets.wgan_gp import gradient_norms
from nnzoo.run.best import defaults_of
from nnzoo.run.configs import settings_of
from support.quiet import QUIET

TINY = {"in_shape": (1, 8, 8), "levels": 17, "channels": 4, "latent_dim": 6}
POINTS = {"in_shape": (2,), "levels": 0, "architecture": "mlp", "hidden": (8,), "latent_dim": 6}


def images(count=32):
    return TensorDataset(torch.rand(count, 1, 8, 8), torch.arange(count) % 3)


def fit(module, batches=7, epochs=1, **limits):
    trainer = L.Trainer(**{**QUIET, "max_epochs": epochs, **limits})
    trainer.fit(module, DataLoader(images(4 * batches), batch_size=4))
    return trainer


class Counted(WGANGP):
    """Counts the steps of each network, and keeps the noise that was drawn."""

    def __init__(self, **shared):
        super().__init__(**shared)
        self.steps, self.drawn = [], []

    def draw(self, count, labels, source=None):
        drawn = super().draw(count, labels, source)
        self.drawn.append(drawn.detach())
        return drawn

    def _step(self, number, terms, loss):
        before = [torch.nn.utils.parameters_to_vector(net.parameters()) for net in (self.critic, self.generator)]
        super()._step(number, terms, loss)
        after = [torch.nn.utils.parameters_to_vector(net.parameters()) for net in (self.critic, self.generator)]
        self.steps.append((number, *(not torch.equal(*both) for both in zip(before, after, strict=True))))


@pytest.mark.parametrize(("n_critic", "epochs"), [(1, 1), (3, 1), (5, 2)])
def test_the_generator_makes_a_step_after_so_many_batches_of_the_critic(n_critic, epochs):
    """Batches count through epochs, and each step changes its own network alone."""
    module = Counted(**TINY, n_critic=n_critic, lr=0.01)
    trainer = fit(module, batches=7, epochs=epochs)
    expected = []
    for batch in range(1, 7 * epochs + 1):
        expected.append((0, True, False))
        expected += [(1, False, True)] * (batch % n_critic == 0)
    assert module.steps == expected
    assert trainer.global_step == len(expected), "steps of both optimisers"


def test_every_step_draws_noise_of_its_own():
    module = Counted(**TINY, n_critic=1, lr=1e-8)
    fit(module, batches=3)
    assert len(module.drawn) == 6
    assert all(not torch.allclose(one, other) for n, one in enumerate(module.drawn) for other in module.drawn[:n])


def test_the_critic_learns_from_a_generator_in_training_which_it_does_not_change():
    """Batch norm draws by the batch's own statistics in both steps, and follows them; its weights stay."""
    module = Counted(**TINY, n_critic=3, lr=0.01)
    modes = []
    module.generator.register_forward_hook(lambda net, *_: modes.append(net.training))
    before = {name: value.clone() for name, value in module.generator.state_dict().items()}
    fit(module, batches=2)  # of the critic alone
    changed = {name for name, value in module.generator.state_dict().items() if not torch.equal(value, before[name])}
    assert modes == [True] * 2
    assert changed
    assert all("running" in name or "num_batches" in name for name in changed)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_the_penalty_is_finite_in_low_precision(precision):
    torch.manual_seed(0)
    module = WGANGP(**TINY, n_critic=1, lr=0.001)
    trainer = L.Trainer(**{**QUIET, "max_epochs": 1, "precision": precision})
    trainer.fit(module, DataLoader(images(28), batch_size=4))
    metrics = trainer.callback_metrics
    assert all(torch.isfinite(value) for value in metrics.values())
    assert float(metrics["train/penalty"]) == pytest.approx(1, abs=0.5), "of a critic that is nearly flat at first"


def test_a_generator_learns_from_the_critic_as_it_is_now_and_passes_no_gradient_to_it():
    module = WGANGP(**TINY)
    module.generator_terms(4, None)["generator_loss"].mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.generator.net[-2].parameters())
    module.zero_grad()
    real, _ = module.to_model((torch.rand(4, 1, 8, 8), torch.zeros(4)))
    module.critic_terms(real, None)["critic_loss"].mean().backward()
    assert all(p.grad is None for p in module.generator.parameters())


def test_a_fit_that_was_stopped_between_two_steps_of_the_generator_goes_on_with_the_batches_left(tmp_path):
    class Saves(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            if module.batches_seen == 8:  # before this one is counted: after 9, in mid-epoch
                trainer.save_checkpoint(tmp_path / "nine.ckpt")

    whole = Counted(**TINY, n_critic=5)
    loader = DataLoader(images(28), batch_size=4)
    L.Trainer(**QUIET, max_epochs=3, callbacks=[Saves()]).fit(whole, loader)
    resumed = Counted(**TINY, n_critic=5)
    L.Trainer(**QUIET, max_epochs=3).fit(resumed, loader, ckpt_path=tmp_path / "nine.ckpt")
    assert [step[0] for step in whole.steps] == ([0] * 5 + [1]) * 4 + [0]
    assert resumed.steps == whole.steps[9 + 1 :], "nine of the critic and one of the generator were made"


@pytest.mark.parametrize("limit", [{}, {"max_steps": 12, "epochs": -1}, {"max_steps": 12, "epochs": 9}])
def test_rates_fall_to_nothing_at_the_last_step_of_each_network(limit):
    """The Trainer's ``max_steps`` counts those of both: 9 of the critic, 3 of the generator."""
    module = Counted(**TINY, n_critic=3, lr=0.01, critic_lr=0.02, lr_schedule="linear")
    trainer = fit(module, batches=9, **limit)
    assert trainer.global_step == 12
    assert [schedule.scheduler.last_epoch for schedule in trainer.lr_scheduler_configs] == [9, 3]
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [0, 0]
    assert [optimizer.param_groups[0]["initial_lr"] for optimizer in trainer.optimizers] == [0.02, 0.01]
    assert [optimizer.param_groups[0]["betas"] for optimizer in trainer.optimizers] == [(0.0, 0.9)] * 2


def test_the_critics_loss_is_the_difference_of_scores_and_the_penalty():
    torch.manual_seed(0)
    module = WGANGP(**POINTS, penalty=7.0)
    real, _ = module.to_model((torch.randn(5, 2), torch.zeros(5)))
    sources = [torch.Generator().manual_seed(seed) for seed in range(5)]
    terms = module.critic_terms(real, None, sources)
    sources = [torch.Generator().manual_seed(seed) for seed in range(5)]
    drawn = module.generator(torch.stack([torch.randn(6, generator=source) for source in sources]))
    shares = torch.stack([torch.rand((), generator=source) for source in sources])
    norms = gradient_norms(module.critic, real, drawn, shares)
    expected = module.critic(drawn) - module.critic(real) + 7 * (norms - 1) ** 2
    assert torch.allclose(terms["critic_loss"], expected, atol=1e-5)
    assert torch.allclose(terms["gradient_norm"], norms, atol=1e-6)
    assert torch.allclose(terms["wasserstein"], module.critic(real) - module.critic(drawn), atol=1e-6)


def test_weights_of_a_wgan_are_clipped_after_each_step_and_those_of_its_generator_are_not():
    module = WGANGP(**TINY, objective="wgan", clip=0.02, lr=0.01)
    fit(module)
    assert max(float(p.abs().max()) for p in module.critic.parameters()) == pytest.approx(0.02)
    assert max(float(p.abs().max()) for p in module.generator.parameters()) > 0.02
    assert "train/penalty" not in module.trainer.callback_metrics


def test_weights_of_a_wgan_are_within_the_limit_after_every_batch_biases_and_batch_norm_included():
    largest = []

    class Watch(L.Callback):
        def on_train_batch_end(self, trainer, module, *args):
            critic = module.critic.named_parameters()
            largest.append({name: float(parameter.abs().max()) for name, parameter in critic})

    module = WGANGP(**TINY, objective="wgan", critic_norm="batch", clip=0.02, lr=0.01, n_critic=3)
    fit(module, batches=6, callbacks=[Watch()])
    assert len(largest) == 6
    assert all(value <= 0.02 for values in largest for value in values.values())
    names = set(largest[0])
    assert {name.rpartition(".")[2] for name in names} == {"weight", "bias"}
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in module.critic.modules())


def test_a_step_of_the_critic_follows_the_gradient_of_the_mean_loss_penalty_and_all():
    """By a step of plain SGD: Adam forgives a loss of another scale, and a penalty that is trained in a step apart."""
    kept = {}

    class Before(WGANGP):
        def critic_terms(self, *args):
            terms = super().critic_terms(*args)
            parameters = list(self.critic.parameters())
            before = torch.nn.utils.parameters_to_vector(parameters).detach().clone()
            slopes = torch.autograd.grad(terms["critic_loss"].mean(), parameters, retain_graph=True)
            kept["expected"] = before - 0.5 * torch.cat([slope.flatten() for slope in slopes])
            return terms

    module = Before(**TINY, optimizer="sgd", momentum=0.0, lr=0.5, n_critic=9)
    fit(module, batches=1)
    found = torch.nn.utils.parameters_to_vector(module.critic.parameters())
    assert torch.allclose(found, kept["expected"], rtol=1e-4, atol=1e-6)


def test_real_images_reach_the_critic_in_the_scale_of_the_generator():
    seen = []
    module = WGANGP(**TINY)
    module.critic.features.register_forward_hook(lambda net, inputs, output: seen.append(inputs[0].detach()))
    real, _ = module.checked((torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 1, 8, 8), torch.zeros(3)), 0)
    module.critic_terms(real, None)
    assert seen[0][:, 0, 0, 0].tolist() == [-1, 0, 1]
    assert float(seen[1].abs().max()) <= 1
    assert module.from_model(torch.tensor([-1.0, 0.0, 1.0, 2.0]).view(4, 1, 1, 1)).flatten().tolist() == [0, 0.5, 1, 1]


@pytest.mark.parametrize("conditioning", ["projection", "auxiliary"])
def test_classes_steer_what_is_drawn(conditioning):
    torch.manual_seed(0)
    module = WGANGP(**TINY, num_classes=3, conditional=True, conditioning=conditioning)
    fit(module)
    source = [torch.Generator().manual_seed(1) for _ in range(3)]
    zero, one, again = module.eval().sample(3, torch.tensor([0, 1, 0]), generator=source)
    assert not torch.allclose(zero, one, atol=1e-4)
    source = [torch.Generator().manual_seed(1)]
    assert torch.allclose(module.sample(1, torch.tensor([0]), generator=source)[0], zero, atol=1e-5)
    assert again.shape == (1, 8, 8)


def test_dequantised_images_stay_within_a_level():
    module = WGANGP(**TINY, dequantize=True)
    real = torch.zeros(100, 1, 8, 8)
    noisy = module._dequantized(real, None)
    assert float(noisy.abs().max()) <= 1 / 16
    assert float(noisy.std()) == pytest.approx(1 / 16 / 3**0.5, rel=0.05)


def test_the_last_weights_are_what_a_run_tests():
    assert defaults_of(WGANGP) == {"checkpoint.monitor": "step", "checkpoint.mode": "max"}


def test_modes_that_samples_reach_are_counted():
    class TwoPoints(WGANGP):
        def sample(self, num_samples, labels=None, *, generator=None):
            return torch.tensor([[0.0, 0.0], [5.0, 5.0]]).repeat(num_samples // 2, 1)

    module = TwoPoints(**POINTS, mode_centers=[[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]], mode_std=0.1)
    loader = DataLoader(TensorDataset(torch.randn(8, 2), torch.zeros(8)), batch_size=4)
    (metrics,) = L.Trainer(**QUIET).test(module, loader, verbose=False)
    assert metrics["test/modes_found"] == 1
    assert metrics["test/high_quality"] == 0.5


WGAN = {"optimizer": "rmsprop", "lr": 5e-5, "clip": 0.01, "n_critic": 5}
GAN = {"optimizer": "adamw", "lr": 2e-4, "betas": [0.5, 0.999], "n_critic": 1}
PUBLISHED = {
    "wgan_gp_cifar10": {"lr": 2e-4, "betas": [0.0, 0.9], "n_critic": 5, "penalty": 10.0, "channels": 128},
    "wgan_gp_mnist": {"betas": [0.5, 0.9], "penalty": 10.0},
    "wgan_gp_toy": {"betas": [0.5, 0.9], "penalty": 0.1, "latent_dim": 2},
    "wgan_gp_wgan": WGAN,
    "wgan_gp_toy_wgan": WGAN,
    "wgan_gp_gan": GAN,
    "wgan_gp_toy_gan": GAN,
}


@pytest.mark.parametrize("config", PUBLISHED)
def test_each_variant_has_its_own_papers_optimiser(config):
    settings = settings_of(config)["model"]
    shape, levels = ((2,), 0) if settings["architecture"] == "mlp" else ((1, 8, 8), 17)
    hparams = WGANGP(**settings, in_shape=shape, levels=levels).hparams
    assert {name: hparams[name] for name in PUBLISHED[config]} == PUBLISHED[config]


def test_the_schedule_of_cifar10_ends_after_100000_steps_of_the_generator():
    settings = settings_of("wgan_gp_cifar10")
    module, steps = WGANGP(**settings["model"], in_shape=(3, 32, 32)), settings["trainer"]["max_steps"]
    module._trainer = SimpleNamespace(max_steps=steps, estimated_stepping_batches=steps, precision="32-true")
    ends = [config["lr_scheduler"]["scheduler"].lr_lambdas[0] for config in module.configure_optimizers()]
    assert [
        [factor(step) for step in (0, end - 1, end)] for factor, end in zip(ends, (500_000, 100_000), strict=True)
    ] == [[1, pytest.approx(1 / end), 0] for end in (500_000, 100_000)]


BAD = [
    (
        {"critic_norm": "batch"},
        r"gradient penalty is one of each sample.*set --model\.critic_norm layer, instance or none",
    ),
    ({"n_critic": 0}, "n_critic must be positive"),
    ({"latent_dim": 0}, "latent_dim must be positive"),
    ({"penalty": -1.0}, "penalty must not be negative"),
    ({"penalty": float("nan")}, "penalty must not be negative"),
    ({"objective": "wgan", "clip": 0.0}, "clip and critic_lr must be above 0"),
    ({"critic_lr": 0.0}, "clip and critic_lr must be above 0"),
    ({"objective": "gan", "penalty": 5.0}, "penalty does nothing with objective gan"),
    ({"clip": 0.1}, "clip does nothing with objective wgan_gp"),
    ({"betas": (0.5, 1.0)}, "betas are two numbers from 0 to below 1"),
    ({"betas": (0.5,)}, "betas are two numbers"),
    ({"in_shape": (1, 6, 6)}, "6x6 image is too small for convolutions of stride 2"),
    ({"in_shape": (2,)}, r"dcgan is for images: set --model\.architecture mlp"),
    ({"conditional": True}, "conditional needs classes"),
    ({"labels": [1]}, "labels does nothing with conditional False"),
]


@pytest.mark.parametrize(("settings", "says"), BAD, ids=[says[:30] for _, says in BAD])
def test_what_cannot_be_is_refused_in_one_sentence(settings, says):
    with pytest.raises(InputError, match=says):
        WGANGP(**{**TINY, **settings})


def test_batch_norm_is_for_critics_without_a_penalty():
    assert WGANGP(**TINY, objective="gan", critic_norm="batch").critic is not None
