import numpy as np
import pytest
import torch

from nnzoo import CNNClassifier
from nnzoo.errors import InputError
from nnzoo.plots.images import tile
from support.drawn import pixels
from support.tiny_cnn import TINY, batch


def test_heat_maps_need_no_gradients_switched_on_and_leave_the_mode_alone():
    module = CNNClassifier(**TINY).train()
    images, labels = batch()
    with torch.inference_mode():
        heat = module.grad_cam(images, labels)
        predicted = module.grad_cam(images)
    assert heat.shape == predicted.shape == (6, 8, 8)
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module.net.features[1].num_batches_tracked == 0, "the batch statistics must not see them"


def test_a_network_of_ones_own_is_trained_without_heat_maps():
    class Own(CNNClassifier):
        def build_net(self):
            return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

    module = Own(**TINY)
    module.training_step(batch(), 0).backward()
    assert "grad_cam" not in module.figures(batch(), {})
    with pytest.raises(InputError, match="cam_layer"):
        module.grad_cam(batch()[0])


@torch.no_grad()
def test_figures_show_the_worst_mistakes_first_and_need_no_class_names():
    module = CNNClassifier(**TINY).eval()
    images, labels = batch(40)
    figures = module.figures((images, labels), {})
    assert set(figures) == {"worst_mistakes", "first_layer", "grad_cam"}
    probabilities = module(images)
    wrong = probabilities.argmax(1) != labels
    worst = probabilities[torch.arange(40), labels].masked_fill(~wrong, 2).argmin()
    title = figures["worst_mistakes"].axes[0].get_title()
    assert title == (
        f"{labels[worst]} ({100 * probabilities[worst, labels[worst]]:.0f} %)\n"
        f"→ {probabilities[worst].argmax()} ({100 * probabilities[worst].max():.0f} %)"
    )
    mistakes = [axis for axis in figures["worst_mistakes"].axes if axis.get_visible()]
    told = [float(axis.get_title().split()[1].strip("(")) for axis in mistakes]
    assert told == sorted(told), "the least probable truth first"
    np.testing.assert_allclose(pixels(mistakes[0]), tile(images[worst][None], 1))
    right = module.figures((images, probabilities.argmax(1)), {})
    assert "worst_mistakes" not in right


@torch.no_grad()
def test_heat_maps_and_kernels_are_those_of_the_network_and_named_by_the_predicted_class():
    module, classes = CNNClassifier(**TINY).eval(), [f"class {number}" for number in range(10)]
    images, labels = batch(12)
    figures = module.figures((images, labels), {"classes": classes})
    predicted = module(images).argmax(dim=1)
    above, below = figures["grad_cam"].axes[:10], figures["grad_cam"].axes[10:]
    assert [axis.get_title() for axis in above] == [classes[number] for number in predicted[:10]]
    heat = module.grad_cam(images[:10], predicted[:10])
    for number, axis in enumerate(below):
        expected = heat[number] / heat[number].max().clamp(min=1e-12)
        np.testing.assert_allclose(pixels(axis, 1), expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(pixels(above[number]), tile(images[number][None], 1))
    weights = module.net.features[0].weight
    expected = tile(0.5 + 0.5 * weights / weights.abs().max(), 2)
    np.testing.assert_allclose(pixels(figures["first_layer"].axes[0]), expected, rtol=1e-5)
