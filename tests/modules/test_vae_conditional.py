import numpy as np
import pytest
import torch
from scipy import stats

from nnzoo.errors import InputError
from support.image_batches import STEPS
from support.small_vae import images_for, seeded, small


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_a_conditional_model_depends_on_the_labels_everywhere(architecture):
    model = small(conditional=True, num_classes=3, architecture=architecture)
    images = images_for("discretized_logistic", 2)
    one, two = torch.tensor([0, 0]), torch.tensor([0, 2])
    other = images_for("discretized_logistic", 2)
    codes = torch.randn(2, 3)
    calls = [
        lambda labels: model.encode(images, labels),
        lambda labels: model.decode(codes, labels),
        lambda labels: model.reconstruct(images, labels),
        lambda labels: model(images, labels),
        lambda labels: model.predict_step((images, labels), 0),
        lambda labels: model.interpolate(images, other, labels=labels),
        lambda labels: model.sample(2, labels, generator=seeded()),
        lambda labels: model.log_likelihood(images, labels, generator=seeded()),
        lambda labels: model.loss_terms(images, labels, seeded())["loss"],
    ]
    for call in calls:
        first, second = call(one), call(two)
        torch.testing.assert_close(first[0], second[0])
        assert (first[1] - second[1]).abs().max() > 1e-4


def test_a_model_that_is_not_conditional_passes_over_labels():
    model, images = small(num_classes=3), images_for("discretized_logistic")
    unknown = torch.tensor([0, 5, -1, 2])
    assert torch.equal(model(images, unknown), model(images))
    model.training_step((images, unknown), 0)
    first, second = (model.log_likelihood(images, labels, generator=seeded()) for labels in (None, unknown))
    assert torch.equal(first, second)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "conditioned on 3 classes: give it labels"),
        (torch.tensor([0, 3]), r"must lie in 0 .. 2, got 0 .. 3: renumber"),
        (torch.tensor([-1, 1]), r"must lie in 0 .. 2, got -1 .. 1: renumber"),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_labels_that_are_missing_or_out_of_range_are_refused_by_every_step(step, labels, message, k):
    model = small(conditional=True, num_classes=3, num_importance_samples=k)
    with pytest.raises(InputError, match=message):
        getattr(model, step)((images_for("discretized_logistic", 2), labels), 0)


CONDITIONAL_CALLS = {
    "encode": lambda model, labels: model.encode(torch.zeros(2, 2, 3, 4), labels),
    "decode": lambda model, labels: model.decode(torch.zeros(2, 3), labels),
    "reconstruct": lambda model, labels: model(torch.zeros(2, 2, 3, 4), labels),
    "interpolate": lambda model, labels: model.interpolate(
        torch.zeros(2, 2, 3, 4), torch.ones(2, 2, 3, 4), labels=labels
    ),
    "log_likelihood": lambda model, labels: model.log_likelihood(torch.zeros(2, 2, 3, 4), labels),
}


@pytest.mark.parametrize("name", list(CONDITIONAL_CALLS))
def test_missing_labels_are_asked_for_by_every_method(name):
    with pytest.raises(InputError, match="give it labels"):
        CONDITIONAL_CALLS[name](small(conditional=True, num_classes=3), None)


@pytest.mark.parametrize("name", [*CONDITIONAL_CALLS, "sample"])
def test_labels_out_of_range_are_refused_by_every_method(name):
    calls = {**CONDITIONAL_CALLS, "sample": lambda model, labels: model.sample(2, labels)}
    with pytest.raises(InputError):
        calls[name](small(conditional=True, num_classes=3), torch.tensor([0, 3]))


def test_samples_of_a_conditional_model_cover_all_classes_if_none_are_asked_for():
    model, seen = small(conditional=True, num_classes=3), []
    model.decoder.register_forward_hook(lambda net, inputs, output: seen.append(inputs[1]))
    model.sample(90)
    assert stats.chisquare(np.bincount(seen[0], minlength=3)).pvalue > 1e-3
