import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnzoo import SequenceClassifier, SequenceTagger
from nnzoo.nets.rnn import last_state
from support.drawn import named_lines, pixels, texts
from support.sequences import step_batches


def panels(module, batch, facts=None):
    figure = module.figures(batch, facts or {})["tags"]
    return {axis.get_ylabel(): axis for axis in figure.axes if axis.images and axis.get_ylabel()}


@torch.no_grad()
@pytest.mark.parametrize("multilabel", [False, True])
def test_a_sequence_is_drawn_with_its_own_truth_and_prediction_up_to_its_end(multilabel):
    module = SequenceTagger(num_inputs=3, num_classes=4, multilabel=multilabel, features=["x", "y", "z"]).eval()
    inputs, lengths, target = (tensor.flip(0) for tensor in step_batches(multilabel)[0])  # the first is padded
    steps = int(lengths[0])
    assert steps < inputs.shape[1]
    shown = panels(module, (inputs, lengths, target), {"classes": list("abcd")})
    truth = target[0, :steps] if multilabel else F.one_hot(target[0, :steps], 4)
    predicted = module(inputs, lengths)[0, :steps]
    for name, values in {"input": inputs[0, :steps], "truth": truth, "prediction": predicted}.items():
        np.testing.assert_allclose(pixels(shown[name]), values.T, rtol=1e-5, err_msg=name)
    assert texts(shown["input"].get_yticklabels()) == ["x", "y", "z"]
    assert texts(shown["prediction"].get_yticklabels()) == list("abcd")


def test_features_of_unlike_units_are_drawn_as_the_network_sees_them():
    units = {"feature_mean": [2.0, 6e4, 0.0], "feature_std": [0.1, 1e4, 1.0]}
    module = SequenceTagger(num_inputs=3, num_classes=4, features=["bar", "pascal", "z"], **units).eval()
    (inputs, lengths, target), std = step_batches(False)[0], torch.tensor(units["feature_std"])
    shown = panels(module, (inputs * std + torch.tensor(units["feature_mean"]), lengths, target))
    steps = int(lengths[0])
    np.testing.assert_allclose(pixels(shown["input"]), inputs[0, :steps].T, atol=1e-2)
    assert shown["input"].images[0].colorbar.ax.get_ylabel() == "standardised"
    raw = panels(SequenceTagger(num_inputs=3, num_classes=4).eval(), (inputs, lengths, target))
    assert raw["input"].images[0].colorbar.ax.get_ylabel() == ""


def test_the_norms_of_this_run_are_those_of_its_loss_by_its_states():
    """Of the longest sequences, step by step, by autograd."""
    module = SequenceClassifier(num_inputs=3, num_classes=4, cell="gru").eval()
    inputs, labels = torch.randn(3, 5, 3), torch.tensor([0, 1, 2])
    lengths = torch.tensor([5, 2, 5])
    (axis,) = module.figures((inputs, lengths, labels), {})["gradient_norms"].axes
    states, state = [], None
    for step in range(5):
        _, state = module.net.encoder.rnn(inputs[[0, 2], step : step + 1], state)
        state.retain_grad()
        states.append(state)
    F.cross_entropy(module.net.head(last_state(state, 1)), labels[[0, 2]], reduction="sum").backward()
    expected = [float(state.grad.norm(dim=2).mean()) for state in states]
    np.testing.assert_allclose(named_lines(axis)["gru, this run"][1], expected, rtol=1e-4)
