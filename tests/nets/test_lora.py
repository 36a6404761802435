"""Adapters against plain transformers and plain peft."""

import json

import peft
import pytest
import torch
import transformers

from nnzoo import CausalLM, InputError
from nnzoo.nets.lora import add_adapter, known_adapter, load_adapter, merged, plain_copy, read_adapter, save_adapter
from nnzoo.nets.lora_base import base_hash, check_4bit, layer_names, load_base, targets_of
from nnzoo.nets.pretrained import save_model
from support import decoders, encoders

pytestmark = pytest.mark.filterwarnings("ignore:.*")
USUAL = {"r": 4, "alpha": 8.0, "dropout": 0.0, "target_modules": None}
KINDS = {"gpt2": "wte", "llama": "embed_tokens"}
"""Decoders with fused projections of (in, out) weights, and with separate ones; and their embeddings."""
SETTINGS = {
    "usual": {},
    "all-linear": {"target_modules": "all-linear"},
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "gaussian": {"init": "gaussian"},
    "head": {"modules_to_save": ["lm_head"]},
    "output": {"target_modules": ["lm_head"]},
    "embedding": {"target_modules": ["EMBEDDING"]},
}


@pytest.fixture(scope="module", params=KINDS)
def base(request, tmp_path_factory):
    """A folder with a decoder, and its kind; the one of GPT-2 ties its embeddings."""
    return decoders.save(tmp_path_factory.mktemp(request.param), request.param), request.param


def logits(model, batch=None):
    """In evaluation mode."""
    batch = batch or decoders.batch()
    with torch.no_grad():
        return model.eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def adapted(base, name="usual", change=True):
    """A base with an adapter, which has been changed as training would."""
    folder, kind = base
    settings = {**USUAL, **SETTINGS[name]}
    if settings["target_modules"] == ["EMBEDDING"]:
        settings["target_modules"] = [KINDS[kind]]
    net = add_adapter(load_base(str(folder)), **settings)
    return decoders.perturb(net) if change else net


def plain(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize("name", SETTINGS)
def test_at_the_start_the_logits_are_the_base_models_bit_for_bit(base, name):
    assert torch.equal(logits(adapted(base, name, change=False)), logits(plain(base[0])))


def test_an_adapter_adds_alpha_over_r_times_b_a_x(base):
    """By hand, on one layer; GPT-2's keeps its weight the other way round."""
    for rslora, scale in ((False, 8 / 4), (True, 8 / 2)):
        net = decoders.perturb(add_adapter(load_base(str(base[0])), **USUAL, rslora=rslora))
        layer = next(m for m in net.modules() if isinstance(m, peft.tuners.lora.LoraLayer))
        x = torch.randn(3, decoders.SIZES["width"])
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        torch.testing.assert_close(layer(x), layer.base_layer(x) + scale * x @ a.T @ b.T)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_merged_folder_is_a_plain_model_with_the_same_logits(base, name, tmp_path):
    net = adapted(base, name)
    before = logits(net)
    save_model(plain_copy(net), tmp_path / "merged", {})
    again = plain(tmp_path / "merged")
    torch.testing.assert_close(logits(again), before, rtol=1e-4, atol=1e-4)
    assert (logits(again) - logits(plain(base[0]))).abs().max() > 0.1, "it is more than the base"
    assert not list((tmp_path / "merged").glob("adapter*")), "nor is it an adapter"
    assert type(again) is type(plain(base[0]))
    assert torch.equal(logits(net), before), "the model itself is left as it was"


@pytest.mark.parametrize("name", SETTINGS)
def test_plain_peft_loads_the_adapter_and_so_do_we(base, name, tmp_path):
    net = adapted(base, name)
    save_adapter(net, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(plain(base[0]), tmp_path / "adapter")
    assert torch.equal(logits(theirs), logits(net))
    ours = known_adapter(load_base(str(base[0])), read_adapter(tmp_path / "adapter"))
    load_adapter(ours, tmp_path / "adapter")
    assert torch.equal(logits(ours), logits(net))
    assert any(parameter.requires_grad for parameter in ours.parameters()), "to be trained further"


def test_an_adapter_that_plain_peft_has_trained_loads_here(base, tmp_path):
    net = peft.get_peft_model(plain(base[0]), peft.LoraConfig(r=2, task_type="CAUSAL_LM", lora_alpha=3))
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        net(**decoders.batch()).loss.backward()
        optimizer.step()
    net.save_pretrained(tmp_path / "theirs")
    ours = known_adapter(load_base(str(base[0])), read_adapter(tmp_path / "theirs"))
    load_adapter(ours, tmp_path / "theirs")
    assert torch.equal(logits(ours), logits(net))
    assert not torch.equal(logits(ours), logits(plain(base[0])))


@pytest.mark.parametrize("name", ["usual", "dora", "all-linear", "rslora"])
def test_merged_equals_unmerged_and_afterwards_the_base_has_its_bits(base, name):
    net = adapted(base, name)
    before, weights = logits(net), {key: value.clone() for key, value in net.state_dict().items()}
    for _ in range(3):
        with merged(net):
            changed = [key for key, value in net.state_dict().items() if not torch.equal(value, weights[key])]
            assert changed
            assert all("base_layer" in key for key in changed)
            torch.testing.assert_close(logits(net), before, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())
    assert torch.equal(logits(net), before)


def test_taking_an_adapter_off_by_subtraction_would_not_restore_the_base(base):
    """Why the weights are kept: what peft does in place."""
    net = adapted(base)
    weights = {key: value.clone() for key, value in net.state_dict().items()}
    net.merge_adapter()
    net.unmerge_adapter()
    assert not all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())


def test_weights_that_are_put_back_come_back_after_an_error_too(base):
    net = adapted(base)
    weights = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(KeyError), merged(net):
        raise KeyError
    assert all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())


def test_tied_embeddings_of_which_one_is_adapted_are_not_merged_in_place(tmp_path):
    base = decoders.save(tmp_path / "base", "gpt2"), "gpt2"
    for name in ("embedding", "output", "head"):
        with pytest.raises(InputError, match="share their weights"), merged(adapted(base, name)):
            pass


def test_a_base_in_bfloat16_trains_in_float32_and_merges_into_float32(base, tmp_path):
    net = decoders.perturb(add_adapter(load_base(str(base[0]), "bfloat16"), **USUAL, modules_to_save=["lm_head"]))
    kinds = {p.requires_grad: {q.dtype for q in net.parameters() if q.requires_grad == p.requires_grad}
             for p in net.parameters()}  # fmt: skip
    assert kinds == {True: {torch.float32}, False: {torch.bfloat16}}
    exact = plain_copy(net)
    assert {parameter.dtype for parameter in exact.parameters()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        low = logits(net)
    assert (low - logits(exact)).abs().max() < 0.05 * logits(exact).abs().max()


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_dropout_acts_on_the_adapters_inputs_alone(tmp_path, kind):
    """The base's own is off in training, though its configuration keeps it."""
    drops = {"gpt2": {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5}, "llama": {"attention_dropout": 0.5}}[
        kind
    ]
    folder = decoders.save(tmp_path / "base", kind, **drops)
    batch = decoders.batch()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    net = decoders.perturb(add_adapter(load_base(str(folder)), **USUAL))
    assert all(module.training for module in net.modules()), "checkpointing of gradients needs it"
    assert torch.equal(net(**inputs).logits, net(**inputs).logits)
    torch.testing.assert_close(net(**inputs).logits, logits(net))
    merged = plain_copy(net)
    assert all(getattr(merged.config, name) == 0.5 for name in drops)
    net = decoders.perturb(add_adapter(load_base(str(folder)), **{**USUAL, "dropout": 0.5}))
    net.train()
    assert not torch.equal(net(**inputs).logits, net(**inputs).logits)


def on_meta(config, **settings):
    """Trainable weights of a model that is never filled."""
    with torch.device("meta"):
        net = add_adapter(transformers.AutoModelForCausalLM.from_config(config), **{**USUAL, **settings})
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def test_counts_of_gpt2_medium_with_rank_4():
    """arXiv:2106.09685: q and v at r 4 in 24 layers of width 1024 are 393,216 numbers."""
    separate = transformers.OPTConfig(
        hidden_size=1024, word_embed_proj_dim=1024, num_hidden_layers=24, num_attention_heads=16, ffn_dim=4096
    )
    assert on_meta(separate, target_modules=["q_proj", "v_proj"]) == 24 * 2 * 4 * (1024 + 1024) == 393_216
    fused = transformers.GPT2Config(n_embd=1024, n_layer=24, n_head=16)
    assert on_meta(fused, target_modules=["c_attn"]) == 24 * 4 * (1024 + 3 * 1024) == 393_216


def test_targets_are_checked_against_the_model(base):
    model, (_, kind) = load_base(str(base[0])), base
    own = {"gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"]}[kind]
    assert targets_of(model, None) == own
    assert targets_of(model, own[0]) == own[:1]
    for wrong in (["query"], [*own, "query"], "query"):
        with pytest.raises(InputError, match=f"no layer query to adapt: .*{own[0]}"):
            targets_of(model, wrong)
    with pytest.raises(InputError, match="no layer  to adapt"):
        targets_of(model, [])
    with pytest.raises(InputError, match=r"no module head: set --model.modules_to_save .*lm_head"):
        add_adapter(model, **USUAL, modules_to_save=["head"])
    assert "lm_head" in layer_names(model)


def test_an_unknown_kind_of_model_says_which_layers_there_are(base):
    model = load_base(str(base[0]))
    model.config.model_type = "new"
    with pytest.raises(InputError, match=r"Which layers of a new .*lm_head"):
        targets_of(model, None)


def test_the_fingerprint_is_that_of_the_weights(base, tmp_path):
    folder = base[0]
    same = plain(folder)
    same.save_pretrained(tmp_path / "same")
    assert base_hash(str(tmp_path / "same")) == base_hash(str(folder))
    with torch.no_grad():
        next(same.parameters())[0, 0] += 1e-3
    same.save_pretrained(tmp_path / "other")
    assert base_hash(str(tmp_path / "other")) != base_hash(str(folder))


def test_adapters_that_do_not_fit_are_refused_in_a_sentence(base, tmp_path):
    with pytest.raises(InputError, match=r"no adapter_config.json: set --model.adapter"):
        read_adapter(tmp_path)
    save_adapter(adapted(base), tmp_path / "adapter")
    settings = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    other = known_adapter(load_base(str(base[0])), {**settings, "r": 2})
    with pytest.raises(InputError, match="does not fit the model"):
        load_adapter(other, tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({**settings, "peft_type": "IA3"}))
    with pytest.raises(InputError, match="holds a IA3 adapter"):
        read_adapter(tmp_path / "adapter")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_four_bits_need_a_gpu():
    with pytest.raises(InputError, match="load_in_4bit needs a CUDA GPU"):
        check_4bit()


def test_an_encoder_or_a_model_without_its_head_is_no_base(tmp_path):
    """transformers loads both: the one sees what it is to predict, the other has a random head."""
    encoder = encoders.save(tmp_path / "bert", auto="AutoModelForMaskedLM")
    headless = decoders.save(tmp_path / "llama", "llama")
    transformers.AutoModel.from_pretrained(headless).save_pretrained(tmp_path / "headless")
    decoders.tokenizer().save_pretrained(tmp_path / "headless")
    for load in (load_base, lambda name: CausalLM(pretrained=name)):
        with pytest.raises(InputError, match=r"bert is an encoder \(bert\), whose tokens see those behind them"):
            load(str(encoder))
        with pytest.raises(InputError, match=r"headless lack lm_head.weight"):
            load(str(tmp_path / "headless"))
        load(str(headless))


def test_a_model_of_another_task_is_no_base(tmp_path):
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    transformers.ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="cannot be loaded as a causal language model"):
        load_base(str(tmp_path))
