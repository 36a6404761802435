import pytest
import torch

from nnzoo import CNNClassifier
from nnzoo.errors import InputError
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
        f"{labels[worst]} {100 * probabilities[worst, labels[worst]]:.0f} %\n"
        f"→ {probabilities[worst].argmax()} {100 * probabilities[worst].max():.0f} %"
    )
    right = module.figures((images, probabilities.argmax(1)), {})
    assert "worst_mistakes" not in right
