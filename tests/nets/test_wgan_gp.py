"""Losses of adversarial models against closed forms and finite differences; the paper's networks by their sizes."""

import math

import pytest
import torch
import torch.nn.functional as F

from nnzoo.errors import InputError
from nnzoo.nets.wgan_gp import (
    Critic,
    Generator,
    clip_weights,
    critic_losses,
    energy_scores,
    generator_losses,
    gradient_norms,
)


def penalty(*args):
    return (gradient_norms(*args) - 1).square()


SHAPES = [(1, 8, 8), (1, 28, 28), (3, 9, 33), (3, 64, 48)]


@pytest.mark.parametrize("size", [1, 16, 64])
def test_a_critic_of_slope_one_pays_nothing_whatever_the_batch(size):
    """A norm over the whole batch would cost it (sqrt(B) - 1)^2: 9 for 16, 49 for 64."""
    direction = F.normalize(torch.randn(12), dim=0)
    real, drawn = torch.randn(2, size, 3, 2, 2)
    penalties = penalty(lambda points: points.flatten(1) @ direction, real, drawn, torch.rand(size))
    assert penalties.shape == (size,)
    assert torch.allclose(penalties, torch.zeros(size), atol=1e-6)


def test_the_penalty_of_a_sample_is_its_own():
    torch.manual_seed(0)
    critic = Critic((1, 8, 8), "dcgan", channels=4, norm="layer")
    real, drawn, shares = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8), torch.rand(4)
    whole = penalty(critic, real, drawn, shares)
    alone = [penalty(critic, *(t[n : n + 1] for t in (real, drawn, shares))) for n in range(4)]
    assert torch.allclose(whole, torch.cat(alone), rtol=1e-4, atol=1e-6)


def test_the_slope_is_that_of_finite_differences_at_the_point_between():
    torch.manual_seed(0)
    critic = Critic((2,), "mlp", hidden=(16, 16)).double()
    real, drawn, shares = torch.randn(1, 2), torch.randn(1, 2), torch.tensor([0.3])
    point = (0.7 * real + 0.3 * drawn).double()
    step = 1e-5
    with torch.no_grad():
        slopes = [float(critic(point + h) - critic(point - h)) / 2 / step for h in step * torch.eye(2).double()]
    critic = critic.float()
    expected = (math.hypot(*slopes) - 1) ** 2
    assert float(penalty(critic, real, drawn, shares)) == pytest.approx(expected, rel=1e-3)


def test_the_penaltys_gradient_is_finite_where_the_critic_is_flat():
    weight = torch.zeros(2, requires_grad=True)
    penalties = penalty(lambda points: points @ weight, torch.randn(3, 2), torch.randn(3, 2), torch.rand(3))
    assert penalties.tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    penalties.sum().backward()
    assert torch.isfinite(weight.grad).all()


def test_no_gradient_goes_to_the_generator_and_the_second_derivative_reaches_the_critic():
    weight, drawn = torch.ones(2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    penalties = penalty(lambda points: (points * weight).square().sum(1), torch.randn(3, 2), drawn, torch.rand(3))
    penalties.sum().backward()
    assert drawn.grad is None
    assert (weight.grad != 0).all()


def test_the_penalty_is_in_float32_under_autocast():
    critic = Critic((1, 8, 8), "dcgan", channels=4)
    real, drawn, shares = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8), torch.rand(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = penalty(critic, real, drawn.bfloat16().float(), shares)
    assert low.dtype == torch.float32
    assert torch.equal(low, penalty(critic, real, drawn.bfloat16().float(), shares))


def test_losses_are_the_papers():
    real, drawn = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])
    assert critic_losses(real, drawn).tolist() == [-1.5, 4.0]
    assert generator_losses(drawn).tolist() == [-0.5, -3.0]
    both = F.binary_cross_entropy_with_logits(real, torch.ones(2), reduction="none")
    both = both + F.binary_cross_entropy_with_logits(drawn, torch.zeros(2), reduction="none")
    assert torch.allclose(critic_losses(real, drawn, cross_entropy=True), both)
    fooled = F.binary_cross_entropy_with_logits(drawn, torch.ones(2), reduction="none")
    assert torch.allclose(generator_losses(drawn, cross_entropy=True), fooled)


def test_clipping_takes_every_parameter():
    critic = Critic((1, 8, 8), "dcgan", channels=4, norm="batch")
    clip_weights(critic, 0.01)
    assert all(float(parameter.abs().max()) <= 0.01 for parameter in critic.parameters())
    assert any(float(parameter.abs().max()) == pytest.approx(0.01) for parameter in critic.parameters())


def test_the_energy_score_of_normal_laws_is_the_closed_form_and_lowest_for_the_true_one():
    """For x, Y ~ N(0, 1): E|Y - x| - E|Y - Y'| / 2 = 2 / sqrt(pi) / 2; for Y ~ N(m, s^2) it is higher."""
    generator = torch.Generator().manual_seed(0)
    real, drawn = torch.randn(40_000, 1, generator=generator), torch.randn(4, 40_000, 1, generator=generator)
    scores = {
        (m, s): float(energy_scores(real, m + s * drawn).mean()) for m, s in [(0, 1), (0.3, 1), (0, 0.7), (0, 1.4)]
    }
    assert scores[0, 1] == pytest.approx(1 / math.sqrt(math.pi), abs=0.01)
    assert scores[0, 1] == min(scores.values())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("architecture", ["mlp", "dcgan", "resnet"])
def test_images_of_any_size_from_8_up(shape, architecture):
    generator = Generator(shape, 5, architecture, hidden=(8,), channels=4)
    critic = Critic(shape, architecture, hidden=(8,), channels=4)
    images = generator(torch.randn(3, 5))
    assert images.shape == (3, *shape)
    assert float(images.abs().max()) <= 1
    assert critic(images).shape == (3,)


@pytest.mark.parametrize("architecture", ["dcgan", "resnet"])
def test_smaller_images_are_refused(architecture):
    with pytest.raises(InputError, match=r"7x9 image is too small.*image_size 8 or more, or --model.architecture mlp"):
        Generator((1, 7, 9), 5, architecture)


def test_the_papers_nets_for_cifar10_have_their_parameters():
    """By hand: 128 to 4x4x128, three blocks, the last convolution; four blocks and the last layer."""
    conv, one = 128 * 128 * 9 + 128, 128 * 128 + 128
    generator = (128 + 1) * 2048 + 3 * (2 * conv + one + 2 * 256) + 256 + 128 * 3 * 9 + 3
    critic = (3 * 128 * 9 + 128 + conv + 3 * 128 + 128) + (2 * conv + one) + 2 * 2 * conv + 129
    for expected, net in (
        (generator, Generator((3, 32, 32), 128, "resnet", channels=128)),
        (critic, Critic((3, 32, 32), "resnet", channels=128)),
    ):
        assert sum(parameter.numel() for parameter in net.parameters()) == expected


SIZES = {(1, 8, 8): [8, 4], (1, 28, 28): [14, 7, 3], (3, 32, 32): [16, 8, 4], (3, 64, 64): [32, 16, 8, 4]}


@pytest.mark.parametrize("shape", SIZES)
def test_a_dcgan_critic_halves_from_the_image_on_until_four_pixels_are_left(shape):
    """As in arXiv:1511.06434 for 64x64, and in the code of arXiv:1704.00028 for 28x28 and 32x32."""
    found = []
    critic = Critic(shape, "dcgan", channels=4)
    for layer in critic.features:
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, inputs, output: found.append((output.shape[2], output.shape[1])))
    critic(torch.zeros(1, *shape))
    assert found == [(size, 4 * 2**depth) for depth, size in enumerate(SIZES[shape])]


@pytest.mark.parametrize("norm", ["none", "layer", "instance"])
@pytest.mark.parametrize("architecture", ["dcgan", "resnet"])
def test_a_score_does_not_depend_on_other_samples(architecture, norm):
    critic, images = Critic((1, 8, 8), architecture, channels=4, norm=norm), torch.randn(4, 1, 8, 8)
    assert torch.allclose(critic(images)[:1], critic(images[:1]), atol=1e-5)


def test_the_projection_adds_the_product_of_class_and_features():
    critic = Critic((2,), "mlp", hidden=(6,), num_classes=3)
    points, labels = torch.randn(4, 2), torch.tensor([0, 1, 2, 1])
    features = critic.features(points)
    expected = critic.score(features)[:, 0] + (critic.embedding.weight[labels] * features).sum(1)
    assert torch.allclose(critic(points, labels), expected)


def test_the_auxiliary_critic_tells_the_class_and_scores_without_it():
    critic = Critic((2,), "mlp", hidden=(6,), num_classes=3, conditioning="auxiliary")
    scores, classes = critic.scores_and_classes(torch.randn(4, 2))
    assert scores.shape == (4,)
    assert classes.shape == (4, 3)
