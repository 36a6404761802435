"""Causal language models against plain transformers."""

import math

import pytest
import torch
import torch.nn.functional as F
import transformers

from nnzoo import InputError
from nnzoo.nets.clm import TokenLosses, continue_texts, decoder_shape, end_tokens, longest_text, token_losses
from nnzoo.nets.pretrained import build_model, config_of
from support import decoders

pytestmark = pytest.mark.filterwarnings("ignore:.*")
GREEDY = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0}


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def net(request, tmp_path_factory):
    folder = decoders.save(tmp_path_factory.mktemp(request.param), request.param)
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def test_the_loss_is_that_of_transformers(net):
    """Which is the mean over the tokens of the batch; -100 is left out, and so is each text's first token."""
    for answers in (False, True):
        batch = decoders.batch(answers=answers)
        losses, tokens = token_losses(net, **batch)
        assert tokens.tolist() == (batch["labels"][:, 1:] != -100).sum(dim=1).tolist()
        torch.testing.assert_close(losses.sum() / tokens.sum(), net(**batch).loss)


def test_the_loss_of_a_text_is_the_sum_of_its_tokens_by_hand(net):
    batch = decoders.batch(rows=1)
    logits = net(input_ids=batch["input_ids"]).logits[0].log_softmax(dim=1)
    by_hand = -sum(logits[place, token] for place, token in enumerate(batch["input_ids"][0, 1:]))
    torch.testing.assert_close(token_losses(net, **batch)[0][0], by_hand)


def test_gradients_of_token_losses_are_those_of_torch():
    logits = torch.randn(7, 11, dtype=torch.float64, requires_grad=True)
    targets, weights = torch.randint(11, (7,)), torch.rand(7, dtype=torch.float64)
    targets[[1, 4]] = -100
    ours = TokenLosses.apply(logits, targets)
    theirs = F.cross_entropy(logits, targets, ignore_index=-100, reduction="none")
    torch.testing.assert_close(ours, theirs)
    found, expected = (torch.autograd.grad((losses * weights).sum(), logits) for losses in (ours, theirs))
    torch.testing.assert_close(found, expected)
    assert not found[0][1].any(), "what is not to be predicted"


def test_a_text_without_labels_costs_nothing(net):
    batch = decoders.batch()
    batch["labels"][1] = -100
    losses, tokens = token_losses(net, **batch)
    assert (losses[1], tokens[1]) == (0, 0)
    batch["labels"][:] = -100
    losses, tokens = token_losses(net, **batch)
    assert losses.sum() == tokens.sum() == 0
    assert not losses.isnan().any()


def test_more_padding_changes_neither_logits_nor_losses(net):
    batch = decoders.batch()
    wide = {"input_ids": torch.nn.functional.pad(batch["input_ids"], (0, 7), value=1),
            "attention_mask": torch.nn.functional.pad(batch["attention_mask"], (0, 7)),
            "labels": torch.nn.functional.pad(batch["labels"], (0, 7), value=-100)}  # fmt: skip
    torch.testing.assert_close(token_losses(net, **wide), token_losses(net, **batch))
    few, many = (net(input_ids=b["input_ids"], attention_mask=b["attention_mask"]).logits for b in (batch, wide))
    inside = batch["attention_mask"].bool()
    torch.testing.assert_close(many[:, : few.shape[1]][inside], few[inside], rtol=1e-4, atol=1e-5)


def test_what_is_padded_with_does_not_matter(net):
    """Not even the end token, which has labels of its own where a text ends."""
    batch = decoders.batch()
    other = {**batch, "input_ids": batch["input_ids"].where(batch["attention_mask"].bool(), 0)}
    torch.testing.assert_close(token_losses(net, **other), token_losses(net, **batch))


def write(net, prompts, tokens=6, **how):
    return continue_texts(net, decoders.tokenizer(), prompts, max_new_tokens=tokens, **{**GREEDY, **how})


def test_greedy_texts_are_the_likeliest_tokens_and_do_not_depend_on_each_other(net):
    prompts = [[5, 6, 7, 8, 9, 10], [11, 12], [13]]
    together = write(net, prompts)
    assert together.shape == (3, 6)
    for prompt, row in zip(prompts, together, strict=True):
        ids = list(prompt)
        for token in row.tolist():
            assert token == int(net(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)
            if token == 0:
                break
        torch.testing.assert_close(write(net, [prompt]), row[None])


def test_the_seed_alone_decides_what_is_drawn(net):
    prompts, state = [[5, 6, 7], [8]], torch.random.get_rng_state()
    first = write(net, prompts, 20, temperature=1.0)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is left alone"
    torch.rand(3)
    assert torch.equal(write(net, prompts, 20, temperature=1.0), first)
    assert not torch.equal(write(net, prompts, 20, temperature=1.0, seed=1), first)


def test_temperature_top_k_and_top_p_act_as_their_formulas_say(net):
    """Shares of the first token of 4,000 texts against the model's own distribution."""
    logits = net(input_ids=torch.tensor([[5, 6, 7]])).logits[0, -1]
    draw = lambda **how: write(net, [[5, 6, 7]] * 4000, 1, **{"temperature": 1.0, **how})[:, 0]  # noqa: E731
    shares = lambda tokens: torch.bincount(tokens, minlength=len(logits)) / 4000  # noqa: E731
    for temperature in (1.0, 0.5):
        expected = (logits / temperature).softmax(dim=0)
        assert (shares(draw(temperature=temperature)) - expected).abs().max() < 0.035
    top = logits.topk(3).indices
    assert set(draw(top_k=3).tolist()) <= set(top.tolist())
    order = logits.softmax(dim=0).sort(descending=True)
    nucleus = order.indices[: int((order.values.cumsum(0) < 0.6).sum()) + 1]
    assert set(draw(top_p=0.6).tolist()) <= set(nucleus.tolist())


def test_settings_that_came_with_a_model_do_not_change_what_is_asked_for(net):
    expected = write(net, [[5, 6, 7]], 12)
    own = net.generation_config
    try:
        net.generation_config = transformers.GenerationConfig(
            do_sample=True,
            temperature=5.0,
            repetition_penalty=1.9,
            max_length=5,
            eos_token_id=0,
            pad_token_id=1,
            num_beams=2,
        )
        assert torch.equal(write(net, [[5, 6, 7]], 12), expected)
        net.generation_config.eos_token_id = [7, 9]
        assert end_tokens(net, decoders.tokenizer()) == [0, 7, 9]
    finally:
        net.generation_config = own


def test_a_text_ends_with_the_end_token_and_is_padded_behind_it(net):
    """Where the tokenizer has no padding, by the end token itself."""
    end = int(write(net, [[5, 6, 7]])[0, 2])
    tokenizer = decoders.tokenizer(pad_token=None)
    assert tokenizer.pad_token_id is None
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    found = continue_texts(net, tokenizer, [[5, 6, 7], [8, 9]], max_new_tokens=6, **GREEDY)[0].tolist()
    assert found[found.index(end) :] == [end] * (6 - found.index(end))


def test_a_prompt_that_is_too_long_is_refused(net):
    with pytest.raises(InputError, match="reads 64 tokens: the longest prompt has 60, and 6 are to be written"):
        write(net, [[5] * 60, [4]])


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_models_from_plain_values(architecture):
    sizes = {"width": 16, "num_layers": 2, "num_heads": 2, "dropout": 0.1}
    shape = decoder_shape(architecture, 50, 32, **sizes, bos_token_id=0, eos_token_id=0, pad_token_id=1)
    torch.manual_seed(0)
    model = build_model("AutoModelForCausalLM", shape)
    assert longest_text(model.config) == 32
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.config.eos_token_id == 0
    batch = {"input_ids": torch.randint(0, 50, (8, 32)), "attention_mask": torch.ones(8, 32, dtype=torch.int64)}
    losses, tokens = token_losses(model.eval(), **batch, labels=batch["input_ids"])
    assert float(losses.sum() / tokens.sum()) == pytest.approx(math.log(50), rel=0.05), "it begins at a uniform guess"
    model.train()
    first, second = (model(**batch).logits for _ in range(2))
    assert not torch.equal(first, second), "dropout acts"


def test_sizes_of_gpt2_are_those_that_openai_published():
    """124,439,808 weights."""
    with torch.device("meta"):
        shape = decoder_shape("gpt2", 50257, 1024, width=768, num_layers=12, num_heads=12, dropout=0.0)
        model = transformers.AutoModelForCausalLM.from_config(config_of(shape))
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"width": 18, "num_heads": 4}, "width 18 must be an even multiple of num_heads 4"),
        ({"width": 0}, "width must be positive"),
        ({"dropout": 1.0}, "dropout is a share"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        decoder_shape("gpt2", 50, 32, **{"width": 16, "num_layers": 1, "num_heads": 2, "dropout": 0.0, **wrong})
