import math

import pytest
import torch
from scipy import stats
from torch import nn

from nnzoo import InputError
from nnzoo.nets.rnn import CELLS, SequenceEncoder, SequenceNet, gradient_norms, step_losses, valid_steps

LENGTHS = torch.tensor([7, 3, 1, 5])
CELL_CLASSES = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def sequences(dtype=torch.float64):
    return torch.randn(4, 7, 3, dtype=dtype)


def encoder(cell="lstm", **settings):
    return SequenceEncoder(3, 5, cell=cell, **settings).double()


def randomized(net):
    """With biases other than zero, so that a bias left out would show."""
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.4)
    return net


@pytest.mark.parametrize("cell", CELLS)
def test_each_sequence_is_read_as_torchs_own_cell_reads_it_step_by_step(cell):
    net = randomized(encoder(cell))
    by_hand = CELL_CLASSES[cell](3, 5).double()
    by_hand.load_state_dict({name.removesuffix("_l0"): value for name, value in net.rnn.state_dict().items()})
    inputs = sequences()
    outputs, last = net(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS):
        state = None
        for step in range(length):
            state = by_hand(inputs[row, step], state)
            h = state[0] if cell == "lstm" else state
            torch.testing.assert_close(outputs[row, step], h)
        torch.testing.assert_close(last[row], h)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_batch_gives_what_torchs_layers_give_for_each_sequence_alone(cell, bidirectional):
    net = randomized(encoder(cell, num_layers=2, bidirectional=bidirectional))
    inputs = sequences()
    outputs, state = net.states(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone, alone_state = net.rnn(inputs[row : row + 1, :length])
        torch.testing.assert_close(outputs[row : row + 1, :length], alone)
        pairs = zip(state, alone_state, strict=True) if cell == "lstm" else [(state, alone_state)]
        for together, single in pairs:
            torch.testing.assert_close(together[:, row], single[:, 0])


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_state_of_both_directions_is_the_forward_end_beside_the_backward_start(cell):
    net = randomized(encoder(cell, num_layers=2, bidirectional=True))
    outputs, last = net(sequences(), LENGTHS)
    assert last.shape == (4, 10)
    ends = outputs[torch.arange(4), LENGTHS - 1, :5]
    torch.testing.assert_close(last, torch.cat([ends, outputs[:, 0, 5:]], dim=1))
    assert not torch.allclose(last[0], outputs[0, 6])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("garbage", [0.0, 1e6, math.nan])
def test_padding_more_changes_no_output_and_no_gradient(cell, bidirectional, garbage):
    net = randomized(encoder(cell, bidirectional=bidirectional))
    inputs = sequences()
    padded = torch.cat([inputs, torch.full((4, 4, 3), garbage).double()], dim=1)
    padded[~valid_steps(LENGTHS, 11)] = garbage
    results = []
    for tensor in (inputs, padded):
        outputs, last = net(tensor, LENGTHS)
        (outputs.square().sum() + last.sum()).backward()
        results.append((outputs, last, [parameter.grad.clone() for parameter in net.parameters()]))
        net.zero_grad()
    torch.testing.assert_close(results[1][0][:, :7], results[0][0], rtol=0, atol=0)
    assert (results[1][0][:, 7:] == 0).all()
    torch.testing.assert_close(results[1][1:], results[0][1:], rtol=0, atol=0)


def test_outputs_after_the_end_are_zero():
    outputs, _ = encoder()(sequences(), LENGTHS)
    assert (outputs[~valid_steps(LENGTHS, 7)] == 0).all()
    assert (outputs[valid_steps(LENGTHS, 7)] != 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_without_lengths_every_step_counts(cell):
    net, inputs = encoder(cell, bidirectional=True), sequences()
    whole = torch.full((4,), 7)
    longer = torch.cat([inputs, inputs], dim=1)  # so that the second goes through packing
    torch.testing.assert_close(net(inputs), net(inputs, whole))
    torch.testing.assert_close(net(inputs)[1], net(longer, whole)[1])


@pytest.mark.parametrize("settings", [{}, {"num_layers": 3}, {"bidirectional": True}])
def test_the_forget_gates_biases_add_up_to_one_and_all_others_to_zero(settings):
    rnn = encoder("lstm", **settings).rnn
    names = [name for name, _ in rnn.named_parameters() if name.startswith("bias_ih")]
    assert len(names) == settings.get("num_layers", 1) * (2 if "bidirectional" in settings else 1)
    for name in names:
        total = getattr(rnn, name) + getattr(rnn, name.replace("ih", "hh"))
        expected = torch.zeros(4, 5).double()
        expected[1] = 1.0  # torch documents the order (i, f, g, o)
        assert torch.equal(total.view(4, 5), expected)


def test_the_second_gate_is_the_one_that_forgets():
    """With all weights zero, c shrinks by sigmoid(forget bias) a step: the bias is on the right gate."""
    rnn = encoder("lstm").rnn
    for name, parameter in rnn.named_parameters():
        if name.startswith("weight"):
            nn.init.zeros_(parameter)
    c = torch.ones(1, 1, 5).double()
    _, (_, after) = rnn(torch.zeros(1, 1, 3).double(), (torch.zeros_like(c), c))
    torch.testing.assert_close(after, torch.full_like(c, 1 / (1 + math.exp(-1))))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell):
    rnn = encoder(cell, num_layers=2, bidirectional=True).rnn
    matrices = [p for name, p in rnn.named_parameters() if name.startswith("weight_hh")]
    assert len(matrices) == 4
    for matrix in matrices:
        for gate in matrix.split(5):
            torch.testing.assert_close(gate @ gate.T, torch.eye(5).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "parameters"), [("rnn", 2 * 64 + 64 * 64 + 128), ("lstm", 17408), ("gru", 3 * (2 * 64 + 64 * 64 + 128))]
)
def test_parameter_counts_are_those_of_torchs_layers(cell, parameters):
    assert sum(p.numel() for p in SequenceEncoder(2, 64, cell=cell).parameters()) == parameters


def test_dropout_acts_between_layers_and_not_in_evaluation():
    net = encoder("gru", num_layers=2, dropout=0.5)
    inputs = sequences()
    assert not torch.equal(net(inputs)[1], net(inputs)[1])
    net.eval()
    assert torch.equal(net(inputs)[1], net(inputs)[1])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dropout": 0.5}, "between recurrent layers"),
        ({"dropout": 1.0, "num_layers": 2}, "from 0 to below 1"),
        ({"hidden_size": 0}, "hidden_size must be positive"),
        ({"num_layers": 0}, "num_layers must be positive"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, says):
    with pytest.raises(InputError, match=says):
        SequenceEncoder(**{"num_inputs": 3, "hidden_size": 5, **settings})


@pytest.mark.parametrize("lengths", [[7, 0, 1, 5], [8, 3, 1, 5], [-1, 3, 1, 5]])
def test_sequences_of_no_step_or_too_many_are_refused(lengths):
    with pytest.raises(InputError, match="must have 1 to 7 valid steps"):
        encoder()(sequences(), torch.tensor(lengths))


def test_another_number_of_values_is_refused():
    with pytest.raises(InputError, match="takes 3 values per step, got 2"):
        encoder()(sequences()[..., :2])


def test_class_losses_of_steps_are_torchs_and_zero_after_the_end():
    logits, target = torch.randn(4, 7, 6), torch.randint(6, (4, 7))
    target[~valid_steps(LENGTHS, 7)] = -100
    losses = step_losses(logits, target, -100)
    assert (losses[~valid_steps(LENGTHS, 7)] == 0).all()
    distribution = torch.distributions.Categorical(logits=logits)
    expected = -distribution.log_prob(target.clamp(min=0))
    torch.testing.assert_close(losses[valid_steps(LENGTHS, 7)], expected[valid_steps(LENGTHS, 7)])


def test_label_losses_of_steps_are_scipys_bernoulli_likelihoods_summed_over_the_labels():
    logits = torch.randn(4, 7, 6, dtype=torch.float64)
    target = torch.randint(2, (4, 7, 6)).double()
    target[~valid_steps(LENGTHS, 7)] = -100
    losses = step_losses(logits, target, -100)
    assert (losses[~valid_steps(LENGTHS, 7)] == 0).all()
    expected = -stats.bernoulli(logits.sigmoid().numpy()).logpmf(target.numpy()).sum(axis=2)
    valid = valid_steps(LENGTHS, 7)
    torch.testing.assert_close(losses[valid], torch.from_numpy(expected)[valid])


def test_padding_gives_no_gradient():
    logits = torch.randn(4, 7, 6, requires_grad=True)
    target = torch.randint(2, (4, 7, 6)).float()
    target[~valid_steps(LENGTHS, 7)] = -100
    step_losses(logits, target, -100).sum().backward()
    assert (logits.grad[~valid_steps(LENGTHS, 7)] == 0).all()
    assert (logits.grad[valid_steps(LENGTHS, 7)] != 0).all()


def test_gradient_norms_of_a_plain_rnn_are_the_products_of_its_jacobians():
    net = SequenceNet(randomized(encoder("rnn")), None).double()
    inputs = sequences()
    norms = gradient_norms(net, inputs, lambda read: read)
    outputs, _ = net.encoder(inputs)
    weight, head = net.encoder.rnn.weight_hh_l0.detach(), net.head[1].weight.detach()[0]
    expected = []
    for step in range(7):
        totals = []
        for states in outputs.detach():
            gradient = head
            for later in states[step + 1 :].flip(0):  # dh_t / dh_{t-1} = diag(1 - h_t^2) W
                gradient = (gradient * (1 - later**2)) @ weight
            totals.append(gradient.norm())
        expected.append(torch.stack(totals).mean())
    torch.testing.assert_close(norms, torch.stack(expected))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("per_step", [False, True])
def test_gradient_norms_reach_back_to_what_torchs_whole_sequence_kernel_gives_the_first_state(cell, per_step):
    net = SequenceNet(randomized(encoder(cell, num_layers=2)), 4, per_step).double().eval()
    inputs = sequences()

    def loss(read):
        return read.square().sum(dim=tuple(range(1, read.dim())))

    norms = gradient_norms(net, inputs, loss)
    with torch.no_grad():
        _, state = net.encoder.rnn(inputs[:, :1])
    leaves = [tensor.requires_grad_() for tensor in (state if cell == "lstm" else (state,))]
    outputs, _ = net.encoder.rnn(inputs[:, 1:], tuple(leaves) if cell == "lstm" else leaves[0])
    read = net.head(torch.cat([leaves[0][-1:].transpose(0, 1), outputs], dim=1) if per_step else outputs[:, -1])
    gradients = torch.autograd.grad(loss(read).sum(), leaves)
    expected = torch.cat(gradients).square().sum(dim=(0, 2)).sqrt().mean()
    torch.testing.assert_close(norms[0], expected)


def test_gradients_that_have_nearly_vanished_are_not_rounded_to_zero():
    net = SequenceNet(SequenceEncoder(1, 1, cell="rnn"), None)
    with torch.no_grad():
        net.encoder.rnn.weight_hh_l0.fill_(0.1)
        net.encoder.rnn.weight_ih_l0.zero_()  # so that h stays 0, where tanh has the slope 1
        net.head[1].weight.fill_(1.0)
    norms = gradient_norms(net, torch.zeros(2, 31, 1), lambda read: read)
    torch.testing.assert_close(norms, 0.1 ** torch.arange(30, -1, -1).double(), rtol=1e-4, atol=0)
