import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torchmetrics.text import Perplexity as TorchmetricsPerplexity

from nnzoo.nets.decoding import beam_search
from nnzoo.nets.seq2seq import Attention, EncoderDecoder, same_tokens, token_loss
from nnzoo.tokens import EOS, PAD, SOS

CELLS = ["rnn", "lstm", "gru"]
ATTENTIONS = ["additive", "general", "none"]


def network(**settings):
    torch.manual_seed(0)
    sizes = {"embedding_dim": 5, "hidden_size": 8}
    return EncoderDecoder(9, **{**sizes, **settings}).double().eval()


def batch(sizes=(3, 6, 1), target_sizes=(2, 4, 5)):
    """Random sources and targets, padded."""
    source = torch.zeros(len(sizes), max(sizes), dtype=torch.long)
    target = torch.zeros(len(sizes), max(target_sizes) + 2, dtype=torch.long)
    for row, (size, target_size) in enumerate(zip(sizes, target_sizes, strict=True)):
        source[row, :size] = torch.randint(4, 9, (size,))
        target[row, : target_size + 2] = torch.tensor([SOS, *torch.randint(4, 9, (target_size,)).tolist(), EOS])
    return source, torch.tensor(sizes), target


# Attention


def test_general_attention_is_torchs_scaled_dot_product_attention_at_scale_one():
    attention = Attention(3, 4, "general").double()
    queries, keys = torch.randn(2, 5, 3).double(), torch.randn(2, 6, 4).double()
    valid = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    expected = F.scaled_dot_product_attention(
        queries @ attention.query.weight.T, keys, keys, attn_mask=valid[:, None], scale=1.0
    )
    torch.testing.assert_close(attention(queries, keys, valid)[0], expected)


def test_additive_attention_is_the_papers_formula():
    attention = Attention(3, 4, "additive").double()
    queries, keys = torch.randn(1, 2, 3).double(), torch.randn(1, 5, 4).double()
    context, weights = attention(queries, keys, torch.tensor([[True, True, True, False, False]]))
    for t in range(2):
        energies = [
            attention.energy.weight[0]
            @ torch.tanh(
                attention.query.weight @ queries[0, t] + attention.key.weight @ keys[0, s] + attention.key.bias
            )
            for s in range(3)
        ]
        expected = torch.stack(energies).softmax(dim=0)
        torch.testing.assert_close(weights[0, t, :3], expected)
        torch.testing.assert_close(context[0, t], (expected[:, None] * keys[0, :3]).sum(dim=0))
    assert not weights[0, :, 3:].any()


@pytest.mark.parametrize("score", ["additive", "general"])
def test_a_row_without_valid_steps_gets_zeros_and_finite_gradients(score):
    attention = Attention(3, 4, score)
    keys = torch.randn(2, 5, 4, requires_grad=True)
    context, weights = attention(torch.randn(2, 2, 3), keys, torch.tensor([[False] * 5, [True] * 5]))
    assert not context[0].any()
    assert not weights[0].any()
    torch.testing.assert_close(weights[1].sum(dim=-1), torch.ones(2))
    context.sum().backward()
    assert all(p.grad.isfinite().all() for p in attention.parameters())
    assert keys.grad.isfinite().all()
    assert not keys.grad[0].any()


@pytest.mark.parametrize("score", ["additive", "general"])
def test_what_a_padded_step_holds_is_not_read(score):
    attention = Attention(3, 4, score)
    queries, keys = torch.randn(1, 2, 3), torch.randn(1, 5, 4)
    valid = torch.tensor([[True, True, True, False, False]])
    other = torch.where(valid[:, :, None], keys, 1e4)
    torch.testing.assert_close(attention(queries, keys, valid), attention(queries, other, valid))


# The network


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_one_call_over_the_target_equals_one_call_per_token(cell, attention):
    net = network(cell=cell, attention=attention, num_layers=2)
    source, lengths, target = batch()
    whole = net(source, lengths, target).log_softmax(dim=-1)
    memory = net.encode(source, lengths)
    state = memory.state
    for position in range(target.shape[1] - 1):
        log_probs, state = net.step(target[:, position], state, memory)
        torch.testing.assert_close(log_probs, whole[:, position])


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_more_padding_changes_nothing(attention, bidirectional):
    net = network(attention=attention, bidirectional=bidirectional)
    source, lengths, target = batch()
    scores = net(source, lengths, target)
    wider = net(F.pad(source, (0, 4)), lengths, F.pad(target, (0, 3)))
    torch.testing.assert_close(wider[:, : scores.shape[1]], scores)
    torch.testing.assert_close(token_loss(wider, F.pad(target, (0, 3))), token_loss(scores, target))
    garbage = torch.where(torch.arange(source.shape[1]) < lengths[:, None], source, 7)
    torch.testing.assert_close(net(garbage, lengths, target), scores)


def test_a_token_is_scored_without_being_seen():
    net = network()
    source, lengths, target = batch()
    scores = net(source, lengths, target)
    changed = target.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 9
    other = net(source, lengths, changed)
    torch.testing.assert_close(other[:, :3], scores[:, :3])
    assert not torch.allclose(other[:, 3], scores[:, 3])


@pytest.mark.parametrize("cell", CELLS)
def test_the_first_state_pairs_a_layers_two_directions(cell):
    net = network(cell=cell, num_layers=2)
    source, lengths, _ = batch()
    _, state = net.encoder.states(net.embedding(source), lengths)
    states = state if cell == "lstm" else (state,)
    for index, (bridge, h, first) in enumerate(
        zip(net.bridges, states, net.encode(source, lengths).state, strict=True)
    ):
        for layer in range(2):
            sides = torch.cat([h[2 * layer], h[2 * layer + 1]], dim=1)  # PyTorch: forward, backward of each layer
            expected = bridge(sides).tanh() if index == 0 else bridge(sides)
            torch.testing.assert_close(first[:, layer], expected)


def test_without_teacher_forcing_the_decoder_reads_what_it_found_most_probable():
    net = network()
    source, lengths, target = batch()
    free = net(source, lengths, target, teacher_forcing=0.0)
    read = torch.cat([target[:, :1], free.argmax(dim=-1)[:, :-1]], dim=1)
    forced = net(source, lengths, torch.cat([read, target[:, -1:]], dim=1))
    torch.testing.assert_close(free, forced)
    assert not torch.allclose(free, net(source, lengths, target))


def test_teacher_forcing_flips_a_coin_for_every_step_of_every_sequence(monkeypatch):
    net = network()
    source, lengths, target = batch()
    read = []
    decode = net.decode
    monkeypatch.setattr(net, "decode", lambda tokens, *rest: (read.append(tokens), decode(tokens, *rest))[1])
    torch.manual_seed(3)
    scores = net(source, lengths, target, teacher_forcing=0.5)
    torch.manual_seed(3)
    coins = torch.rand(3, target.shape[1] - 1) < 0.5
    assert coins.any(dim=0).logical_and(~coins.all(dim=0)).any(), "some step must differ between sequences"
    for position in range(1, target.shape[1] - 1):
        own = scores[:, position - 1].argmax(dim=-1)
        assert torch.equal(read[position][:, 0], torch.where(coins[:, position], target[:, position], own))


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_beam_search_over_the_network_finds_the_best_of_all_short_outputs(cell, attention):
    """The network's state and memory follow the beams: scores of whole outputs, in one call each, say so."""
    net = network(cell=cell, attention=attention)
    net.head.weight.data *= 8  # far from uniform
    source, lengths, _ = batch()
    memory = net.encode(source, lengths)
    repeated = memory.repeat(5**3)
    found = beam_search(lambda tokens, state: net.step(tokens, state, repeated), memory.state, 3, 5**3)
    outputs = [(*c, EOS) for n in range(3) for c in itertools.product(range(4, 9), repeat=n)]
    for sample in range(3):
        rows = torch.tensor([[SOS, *o, *[PAD] * (3 - len(o))] for o in outputs])
        one = source[sample].expand(len(rows), -1), lengths[sample].expand(len(rows))
        losses = token_loss(net(*one, rows), rows)[0]
        best = losses.argmin()
        assert found.tokens[sample].tolist() == rows[best, 1:].tolist()
        torch.testing.assert_close(-found.log_prob[sample], losses[best])


# The loss


def test_the_loss_is_the_targets_negative_log_likelihood_without_start_and_padding():
    source, lengths, target = batch()
    scores = network()(source, lengths, target)
    losses, tokens = token_loss(scores, target)
    log_probs = scores.log_softmax(dim=-1)
    for row in range(3):
        written = [t for t in target[row, 1:].tolist() if t != PAD]
        assert written[-1] == EOS
        assert tokens[row] == len(written)
        expected = -sum(log_probs[row, i, token] for i, token in enumerate(written))
        torch.testing.assert_close(losses[row], expected)


def test_loss_and_count_give_torchmetrics_perplexity():
    source, lengths, target = batch()
    scores = network()(source, lengths, target)
    losses, tokens = token_loss(scores, target)
    expected = TorchmetricsPerplexity(ignore_index=PAD)(scores.float(), target[:, 1:])
    assert math.exp(losses.sum().item() / tokens.sum().item()) == pytest.approx(expected.item(), rel=1e-5)


def test_label_smoothing_mixes_the_target_with_the_uniform_distribution():
    source, lengths, target = batch()
    scores = network()(source, lengths, target)
    uniform = (-scores.log_softmax(dim=-1).mean(dim=-1) * (target[:, 1:] != PAD)).sum(dim=1)
    expected = 0.8 * token_loss(scores, target)[0] + 0.2 * uniform
    torch.testing.assert_close(token_loss(scores, target, 0.2)[0], expected)


def test_an_output_matches_only_to_the_last_token():
    target = torch.tensor([[SOS, 4, 5, EOS, PAD]])
    for output, same in (
        ([4, 5, EOS], True),
        ([4, 5, EOS, PAD, PAD, PAD], True),
        ([4, 5], False),
        ([4, 5, 6], False),
        ([4, EOS], False),
        ([4, 6, EOS, PAD], False),
        ([4, 5, 4, EOS, PAD], False),
    ):
        assert same_tokens(torch.tensor([output]), target).tolist() == [float(same)], output
