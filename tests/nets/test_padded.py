"""Recurrent layers on padded sequences compute what PyTorch's do on packed ones."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nnzoo.nets import lstm, padded
from nnzoo.nets.lstm import LSTM
from nnzoo.nets.padded import pays, read_padded

LENGTHS = torch.tensor([7, 1, 4, 7, 2])
KINDS = [nn.RNN, nn.LSTM, LSTM, nn.GRU]


def layers(kind, dtype=torch.float64, std=0.5, **settings):
    rnn = kind(3, 6, batch_first=True, **settings).to(dtype)
    for parameter in rnn.parameters():
        nn.init.normal_(parameter, std=std)
    return rnn


def given(rnn, started):
    """Inputs and, if the layers are not to start from zeros, their first state."""
    dtype = rnn.weight_ih_l0.dtype
    shape = (rnn.num_layers * (2 if rnn.bidirectional else 1), 5, 6)
    count = (2 if isinstance(rnn, nn.LSTM) else 1) if started else 0
    return torch.randn(5, 7, 3, dtype=dtype), tuple(torch.randn(shape, dtype=dtype) for _ in range(count)) or None


def read_packed(rnn, inputs, lengths, state=None):
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    outputs, final = rnn(packed, state if state is None or isinstance(rnn, nn.LSTM) else state[0])
    final = final if isinstance(final, tuple) else (final,)
    return pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])[0], final


def results(read, rnn, inputs, state=None):
    """Outputs, final state, and the gradients of a random sum of both in inputs, first state and weights."""
    inputs, state = inputs.clone(), state and tuple(tensor.clone() for tensor in state)
    leaves = [tensor.requires_grad_() for tensor in (inputs, *(state or ()))]
    outputs, final = read(rnn, inputs, LENGTHS, state)
    weights = torch.Generator().manual_seed(1)
    terms = [(tensor * torch.randn(tensor.shape, generator=weights)).sum() for tensor in (outputs, *final)]
    return [outputs, *final, *torch.autograd.grad(sum(terms), [*leaves, *rnn.parameters()])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_outputs_states_and_all_gradients_are_those_of_packing(
    kind, bidirectional, num_layers, started, dtype, tolerance
):
    rnn = layers(kind, dtype, bidirectional=bidirectional, num_layers=num_layers)
    inputs, state = given(rnn, started)
    for found, expected in zip(
        results(read_padded, rnn, inputs, state), results(read_packed, rnn, inputs, state), strict=True
    ):
        torch.testing.assert_close(
            found, expected, rtol=0, atol=tolerance * max(1.0, float(expected.detach().abs().max()))
        )


@pytest.mark.parametrize("kind", [nn.RNN, LSTM, nn.GRU])
def test_layers_without_biases_and_with_saturated_gates_agree_too(kind):
    for rnn in (layers(kind, bias=False), layers(kind, std=30.0, bidirectional=True)):
        inputs, state = given(rnn, True)
        for found, expected in zip(
            results(read_padded, rnn, inputs, state), results(read_packed, rnn, inputs, state), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [nn.RNN, LSTM, nn.GRU])
def test_what_stands_in_the_padding_reaches_nothing(kind):
    rnn = layers(kind, num_layers=2, bidirectional=True)
    inputs, _ = given(rnn, False)
    spoilt = inputs.masked_fill((torch.arange(7) >= LENGTHS[:, None])[..., None], torch.nan)
    for found, expected in zip(results(read_padded, rnn, spoilt), results(read_packed, rnn, inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [nn.RNN, LSTM, nn.GRU])
def test_dropout_acts_between_layers_in_training_alone(kind):
    rnn = layers(kind, num_layers=2, dropout=0.999999)
    pair = [given(rnn, False)[0] for _ in range(2)]
    first, second = (read_padded(rnn, inputs, LENGTHS)[0] for inputs in pair)
    assert torch.equal(first, second), "all that the second layer reads is dropped"
    rnn.eval()
    for inputs in pair:
        torch.testing.assert_close(read_padded(rnn, inputs, LENGTHS)[0], read_packed(rnn, inputs, LENGTHS)[0])


@pytest.mark.parametrize("kind", [nn.RNN, LSTM, nn.GRU])
@pytest.mark.parametrize("has_kernel", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_under_autocast_it_learns_and_stays_near_float32(monkeypatch, kind, has_kernel, bidirectional):
    if has_kernel and not lstm.has_kernel(torch.bfloat16):
        pytest.skip("this CPU has no such kernel")
    monkeypatch.setattr(lstm, "has_kernel", lambda _: has_kernel)
    rnn = layers(kind, torch.float32, num_layers=2, bidirectional=bidirectional)
    inputs, state = given(rnn, True)
    exact = read_padded(rnn, inputs, LENGTHS, state)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, final = read_padded(rnn, inputs, LENGTHS, state)
    (outputs.float().sum() + sum(tensor.float().sum() for tensor in final)).backward()
    assert all(parameter.grad.isfinite().all() for parameter in rnn.parameters())
    for found, expected in zip((outputs, *final), (exact[0], *exact[1]), strict=True):
        torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)


def test_it_pays_on_a_cpu_unless_nearly_all_is_padding():
    rnn, inputs = layers(nn.GRU), torch.zeros(4, 20, 3)
    assert pays(rnn, inputs, torch.tensor([20, 1, 1, 1]))
    assert pays(rnn, inputs, torch.tensor([7, 1, 1, 1]))
    assert not pays(rnn, inputs, torch.tensor([6, 1, 1, 1]))
    assert not pays(rnn, inputs.to("meta"), torch.tensor([20, 20, 20, 20]))


def test_layers_that_compute_otherwise_are_left_to_packing():
    class Own(nn.GRU):
        pass

    inputs, lengths = torch.zeros(2, 4, 3), torch.tensor([4, 3])
    others = [layers(Own), layers(nn.RNN, nonlinearity="relu"), layers(LSTM, proj_size=2), nn.GRU(3, 6)]
    assert not any(pays(rnn, inputs, lengths) for rnn in others)
    assert all(pays(layers(kind), inputs, lengths) for kind in KINDS)


def test_the_gates_stay_as_they_were_set():
    """Two numbers that hold the cell in the padding: what they give a sigmoid is 0 or 1, in every precision."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        assert torch.tensor([-padded.SATURATED, padded.SATURATED], dtype=dtype).sigmoid().tolist() == [0.0, 1.0]
