"""Encoders with a head: depths, freezing, adapters, attention, gradients, against transformers and peft themselves."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from nnzoo import InputError
from nnzoo.nets.bert import NEW_POOLER, EncoderNet
from nnzoo.nets.pretrained import read_config
from support import encoders

KINDS = ("bert", "distilbert", "electra", "roberta")


@pytest.fixture
def folder(tmp_path):
    return str(encoders.save(tmp_path / "encoder"))


def network(folder, **settings):
    torch.manual_seed(0)
    net = EncoderNet(read_config(folder), 3, **settings).eval()
    net.load_pretrained(folder)
    for name, parameter in net.model.named_parameters():
        if not name.startswith(net.prefix):
            torch.nn.init.normal_(parameter)
    return net


def inputs(**settings):
    found = encoders.batch(**settings)
    return found["input_ids"], found["attention_mask"]


def test_it_computes_what_transformers_does_to_the_bit(folder):
    net = network(folder)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).eval()
    theirs.classifier.load_state_dict(net.model.classifier.state_dict())
    ids, mask = inputs()
    assert torch.equal(net(ids, mask), theirs(input_ids=ids, attention_mask=mask).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_more_padding_changes_no_logit(tmp_path, kind):
    net = network(str(encoders.save(tmp_path / kind, kind=kind)))
    few = encoders.batch()
    more = encoders.padded(few, 20)
    before = net(few["input_ids"], few["attention_mask"])
    torch.testing.assert_close(net(more["input_ids"], more["attention_mask"]), before, rtol=0, atol=1e-5)
    assert before.std(dim=0).min() > 1e-3, "the texts differ, so the mask is what makes them equal"
    unmasked = net(more["input_ids"], torch.ones_like(more["attention_mask"]))
    assert (unmasked - before).abs().max() > 1e-3


def test_a_decoder_needs_a_token_of_padding_to_find_the_end_of_a_text():
    shape = {"model_type": "gpt2", "vocab_size": 120, "n_positions": 40, "n_embd": 16, "n_layer": 1, "n_head": 2}
    with pytest.raises(InputError, match="without a token of padding cannot tell where a text ends"):
        EncoderNet(shape, 3)
    torch.manual_seed(0)
    net, few = EncoderNet({**shape, "pad_token_id": 0}, 3).eval(), encoders.batch()
    more = encoders.padded(few, 20)
    before = net(few["input_ids"], few["attention_mask"])
    torch.testing.assert_close(net(more["input_ids"], more["attention_mask"]), before, rtol=0, atol=1e-5)


def test_padding_is_masked_in_float16_and_bfloat16_too(folder):
    few, more = encoders.batch(), encoders.padded(encoders.batch(), 20)
    for kind in (torch.float16, torch.bfloat16):
        net = network(folder).to(kind)
        logits = [net(some["input_ids"], some["attention_mask"]) for some in (few, more)]
        assert logits[1].isfinite().all()
        torch.testing.assert_close(*logits, rtol=0, atol=0.05)


def test_kinds_of_tokens_reach_the_models_that_know_them(tmp_path, folder):
    ids, mask = inputs()
    second = torch.zeros_like(ids)
    second[:, 4:] = 1
    net = network(folder)
    assert not torch.equal(net(ids, mask, second), net(ids, mask))
    other = network(str(encoders.save(tmp_path / "distil", kind="distilbert")))
    assert torch.equal(other(ids, mask, second), other(ids, mask))


@pytest.mark.parametrize("kind", KINDS)
def test_depths_are_those_of_electras_code(tmp_path, kind):
    net = network(str(encoders.save(tmp_path / kind, kind=kind)))
    depths = {name: net.depth_of(name) for name, _ in net.model.named_parameters()}
    for name, depth in depths.items():
        expected = 4
        if name.startswith(net.prefix):
            layer = [int(part) for part in name.split(".") if part.isdigit()]
            expected = 0 if "embeddings" in name else layer[0] + 1 if layer else 3
        assert depth == expected, name
    assert set(depths.values()) >= {0, 1, 2, 4}


def test_layer_decay_is_the_rate_by_hand(folder):
    net = network(folder)
    shares = net.shares(0.5)
    by_hand = {
        "bert.embeddings.word_embeddings.weight": 1 / 16,
        "bert.embeddings.LayerNorm.bias": 1 / 16,
        "bert.encoder.layer.0.attention.self.query.weight": 1 / 8,
        "bert.encoder.layer.1.output.dense.bias": 1 / 4,
        "bert.pooler.dense.weight": 1 / 2,
        "classifier.weight": 1.0,
    }
    assert {name: shares[net.model.get_parameter(name)] for name in by_hand} == by_hand
    assert len(shares) == len(list(net.model.parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_frozen_has_no_gradient_and_no_dropout(tmp_path, kind):
    net = network(str(encoders.save(tmp_path / kind, kind=kind)))
    net.learn_from(2)
    net.train()
    net(*inputs()).sum().backward()
    for name, parameter in net.model.named_parameters():
        learns = net.depth_of(name) >= 2
        assert (parameter.grad is not None) == learns == parameter.requires_grad, name
    for name, part in net.model.named_modules():
        depth = net.depth_of(name)
        if depth is not None:
            assert part.training == (depth >= 2), name
    net.learn_from(0)
    assert all(part.training for part in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_frozen_encoder_gives_the_same_in_training_but_for_the_heads_dropout(folder):
    net = network(folder, dropout=0.0, encoder_dropout=0.4)
    before = net(*inputs())
    net.learn_from(4)
    assert torch.equal(net.train()(*inputs()), before)
    net.learn_from(1)
    assert not torch.equal(net(*inputs()), before)


def test_dropouts_are_set_where_they_act(folder):
    net = network(folder, dropout=0.25, encoder_dropout=0.4)
    assert net.model.dropout.p == 0.25
    layer = net.model.bert.encoder.layer[0]
    assert layer.output.dropout.p == layer.attention.self.dropout.p == net.model.bert.embeddings.dropout.p == 0.4
    kept = network(folder)
    assert kept.model.dropout.p == kept.model.bert.embeddings.dropout.p == 0.1


def test_the_pooler_is_that_of_the_file_or_learned_with_the_head(tmp_path, folder):
    net = network(folder)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder)
    assert torch.equal(net.model.bert.pooler.dense.weight, theirs.bert.pooler.dense.weight)
    lacking = str(encoders.save(tmp_path / "masked", auto="AutoModelForMaskedLM"))
    with pytest.raises(InputError, match=r"lack pooler\.dense"):
        network(lacking)
    net = EncoderNet({**read_config(lacking), NEW_POOLER: True}, 3)
    net.load_pretrained(lacking)
    net.learn_from(4)
    learned = {name for name, parameter in net.model.named_parameters() if parameter.requires_grad}
    assert learned == {f"{part}.{kind}" for part in ("bert.pooler.dense", "classifier") for kind in ("weight", "bias")}
    assert net.train().model.bert.pooler.training


def test_attention_is_what_transformers_gives_and_leaves_the_model_as_it_was(folder):
    net = network(folder)
    ids, mask = inputs()
    before = net(ids, mask)
    weights = net.attention(ids, mask)
    assert weights.shape == (6, 2, 2, 12, 12)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(6, 2, 2, 12))
    assert float((weights * (1 - mask)[:, None, None, None, :]).abs().max()) == 0, "none to padding"
    eager = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, attn_implementation="eager").eval()
    theirs = eager(input_ids=ids, attention_mask=mask, output_attentions=True).attentions
    torch.testing.assert_close(weights[:, 1], theirs[1])
    assert torch.equal(net(ids, mask), before)


def test_gradient_times_input_is_the_slope_of_scaling_a_words_embedding(folder):
    """d/da logit(a e_t) at a = 1, by finite differences."""
    net = network(folder).double()
    ids, mask = (tensor[1:3] for tensor in inputs())
    which = torch.tensor([2, 0])
    found = net.saliency(which, ids, mask)
    embedded = net.model.get_input_embeddings()(ids).detach()

    def logit(factors):
        scaled = embedded * factors[:, :, None]
        return net.model(inputs_embeds=scaled, attention_mask=mask).logits.gather(1, which[:, None])[:, 0]

    for place in range(5):
        step = torch.zeros(ids.shape, dtype=torch.float64)
        step[:, place] = 1e-5
        slope = (logit(1 + step) - logit(1 - step)) / 2e-5
        torch.testing.assert_close(found[:, place], slope, rtol=1e-5, atol=1e-7)
    assert float((found * (1 - mask)).abs().max()) == 0
    with torch.inference_mode():
        torch.testing.assert_close(net.saliency(which, ids, mask), found)


def test_gradient_times_input_works_on_a_frozen_encoder_and_leaves_no_gradient(folder):
    net = network(folder)
    expected = net.saliency(None, *inputs())
    net.learn_from(4)
    torch.testing.assert_close(net.saliency(None, *inputs()), expected)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_adapters_are_pefts_and_change_nothing_at_the_start(folder):
    net = network(folder)
    before = net(*inputs())
    net.add_lora(4, 8, 0.0, ["query", "value"])
    assert torch.equal(net(*inputs()), before)
    learned = {name: p.numel() for name, p in net.model.named_parameters() if p.requires_grad}
    adapters = sum(count for name, count in learned.items() if ".lora_" in name)
    assert adapters == 2 * 2 * 4 * (16 + 16)  # layers, matrices, rank, both sides
    assert sum(learned.values()) - adapters == 16 * 3 + 3


def test_an_adapter_adds_alpha_over_r_times_b_a_x(folder):
    net = network(folder)
    net.add_lora(4, 6, 0.0, ["query"])
    layer = net.model.bert.encoder.layer[1].attention.self.query
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(b)
    x = torch.randn(3, 16)
    torch.testing.assert_close(layer(x), layer.base_layer(x) + 6 / 4 * x @ a.T @ b.T)


def test_pretrained_weights_load_beneath_adapters(folder):
    torch.manual_seed(0)
    net = EncoderNet(read_config(folder), 3).eval()
    net.add_lora(2, 4, 0.0, [])
    net.load_pretrained(folder)
    other = network(folder)
    other.model.classifier.load_state_dict(net.model.classifier.state_dict())
    torch.testing.assert_close(net(*inputs()), other(*inputs()), rtol=0, atol=0)


def test_a_plain_copy_has_the_adapters_merged_and_leaves_the_model_alone(folder):
    net = network(folder)
    net.add_lora(4, 8, 0.0, ["query", "dense"])
    for name, parameter in net.model.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    ids, mask = inputs()
    before, copy = net(ids, mask), net.plain()
    assert not any("lora" in name or "base_layer" in name for name in copy.state_dict())
    torch.testing.assert_close(copy(input_ids=ids, attention_mask=mask).logits, before, rtol=1e-5, atol=1e-5)
    assert torch.equal(net(ids, mask), before)


def test_layers_that_are_not_there_are_named_with_those_that_are(folder):
    with pytest.raises(InputError, match=r"no layer q_proj: .*--model\.lora_targets.*dense.*query"):
        network(folder).add_lora(4, 8, 0.0, ["query", "q_proj"])


def test_layers_that_share_their_weights_are_one(tmp_path):
    from transformers import AlbertConfig

    sizes = {**encoders.SIZES, "embedding_size": 8, "num_hidden_layers": 3}
    net = EncoderNet(AlbertConfig(**sizes).to_dict(), 3)
    assert net.num_layers == 1
    assert {net.depth_of(name) for name, _ in net.model.named_parameters()} == {0, 1, 2, 3}
