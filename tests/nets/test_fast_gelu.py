"""GPT-2's activation against that of transformers."""

import torch
from transformers.activations import NewGELUActivation

from nnzoo.nets.fast_gelu import FastGELU, with_fast_gelu
from nnzoo.nets.pretrained import build_model
from support import decoders

SHAPE = {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 50}


def test_values_and_gradients_are_those_of_transformers():
    x = torch.linspace(-6, 6, 200, dtype=torch.float64, requires_grad=True)
    for function in (FastGELU(NewGELUActivation()), torch.nn.GELU()):
        close = [
            torch.allclose(ours, theirs, atol=1e-10)
            for ours, theirs in zip(
                (function(x), *torch.autograd.grad(function(x).sum(), x)),
                (NewGELUActivation()(x), *torch.autograd.grad(NewGELUActivation()(x).sum(), x)),
                strict=True,
            )
        ]
        assert all(close) == isinstance(function, FastGELU), "the one with erf differs"


def test_in_evaluation_outputs_are_the_same_bits():
    x = torch.randn(1000)
    assert torch.equal(FastGELU(NewGELUActivation()).eval()(x), NewGELUActivation()(x))
    assert not torch.equal(FastGELU(NewGELUActivation())(x), NewGELUActivation()(x)), "in training they need not be"


def test_a_model_has_the_same_weights_and_gradients_as_that_of_transformers():
    import transformers

    torch.manual_seed(0)
    plain = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        **{k: v for k, v in SHAPE.items() if k != "model_type"}, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0
    ))  # fmt: skip
    ours = build_model("AutoModelForCausalLM", plain.config.to_dict())
    assert sum(isinstance(module, FastGELU) for module in ours.modules()) == 2
    ours.load_state_dict(plain.state_dict())
    ids = torch.randint(50, (2, 9))
    for model in (plain, ours):
        model.train()(input_ids=ids, labels=ids).loss.backward()
    for theirs, own in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(own.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_other_activations_are_left_alone(tmp_path):
    import transformers

    folder = decoders.save(tmp_path / "llama", "llama")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    before = [type(module) for module in model.modules()]
    assert [type(module) for module in with_fast_gelu(model).modules()] == before
