"""LoRACausalLM: what is trained and saved, and that it goes on from there."""

import lightning as L
import peft
import pytest
import torch
import transformers

from nnzoo import InputError, LoRACausalLM
from support import decoders
from support.quiet import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(decoders.save(tmp_path_factory.mktemp("base")))


def fit(module, batches, tmp_path=None, **settings):
    trainer = L.Trainer(**{**QUIET, "max_epochs": 1, **settings})
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    return trainer


def outputs(module, batch=None):
    batch = batch or decoders.batch()
    with torch.no_grad():
        return module.eval()(batch["input_ids"], batch["attention_mask"])


def test_the_base_stays_as_it_is_and_the_optimiser_holds_the_adapter_alone(base):
    module = LoRACausalLM(pretrained=base, lr=0.1, modules_to_save=["lm_head"])
    before = {name: value.clone() for name, value in module.net.state_dict().items()}
    trainer = fit(module, [decoders.batch(seed=seed) for seed in range(4)])
    held = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    trained = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
    assert held == set(trained)
    assert all("lora_" in name or "modules_to_save" in name for name in trained.values())
    after = module.net.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {name.removeprefix("net.") for name in trained.values()}


def test_training_starts_at_the_base_and_lowers_the_loss(base):
    module, batch = LoRACausalLM(pretrained=base, lr=0.02, target_modules="all-linear"), decoders.batch()
    plain = transformers.AutoModelForCausalLM.from_pretrained(base)
    assert torch.equal(
        outputs(module), plain.eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    )
    torch.testing.assert_close(module.contract_loss(batch), plain(**batch).loss)
    before = float(module.contract_loss(batch))
    fit(module, [batch] * 20)
    assert float(module.contract_loss(batch)) < before - 0.5


def test_a_checkpoint_holds_the_adapter_alone_and_finds_its_base_by_name(base, tmp_path):
    module = LoRACausalLM(pretrained=base, lr=0.1)
    trainer = fit(module, [decoders.batch()] * 3)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert set(saved["state_dict"]) == {name for name, p in module.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in saved["state_dict"])
    loaded = LoRACausalLM.load_from_checkpoint(tmp_path / "x.ckpt")
    assert torch.equal(outputs(loaded), outputs(module))
    assert not torch.equal(outputs(loaded), outputs(LoRACausalLM(pretrained=base)))


def test_another_base_is_refused_whatever_its_name(base, tmp_path):
    module = LoRACausalLM(pretrained=base)
    fit(module, [decoders.batch()]).save_checkpoint(tmp_path / "x.ckpt")
    other = decoders.save(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match=r"with other weights .* set --model.pretrained to the base"):
        LoRACausalLM.load_from_checkpoint(tmp_path / "x.ckpt", pretrained=str(other))
    moved = decoders.save(tmp_path / "moved")
    LoRACausalLM.load_from_checkpoint(tmp_path / "x.ckpt", pretrained=str(moved))
    with pytest.raises(InputError, match="There is no folder"):
        LoRACausalLM.load_from_checkpoint(tmp_path / "x.ckpt", pretrained=str(tmp_path / "gone"))


def test_a_state_of_another_adapter_is_refused(base):
    module = LoRACausalLM(pretrained=base)
    state = module.state_dict()
    state.pop(next(iter(state)))
    with pytest.raises(RuntimeError, match="another adapter: missing"):
        module.load_state_dict(state)
    with pytest.raises(RuntimeError, match="unexpected"):
        module.load_state_dict({**module.state_dict(), "net.more": torch.zeros(1)})


@pytest.mark.parametrize("settings", [{}, {"modules_to_save": ["lm_head"]}, {"use_dora": True, "dropout": 0.2}])
def test_a_fit_that_goes_on_has_the_bits_of_one_that_was_never_stopped(base, tmp_path, settings):
    """No adapter that begins anew or stays frozen, and an optimiser with its means."""
    batches = [decoders.batch(seed=seed) for seed in range(3)]

    def whole(epochs, path=None):
        torch.manual_seed(0)
        module = LoRACausalLM(pretrained=base, lr=0.05, **{**settings, "dropout": 0.0})
        trainer = L.Trainer(**QUIET, max_epochs=epochs)
        trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None), ckpt_path=path)
        return module, trainer

    first, trainer = whole(2)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    torch.manual_seed(1)
    resumed, again = whole(4, tmp_path / "x.ckpt")
    unstopped, _ = whole(4)
    assert again.global_step == 12
    torch.testing.assert_close(dict(resumed.state_dict()), dict(unstopped.state_dict()), rtol=0, atol=0)
    assert not torch.equal(outputs(resumed), outputs(first))


def test_gradients_with_checkpointing_are_those_without(base):
    """Frozen embeddings give their layers no gradient; the first adapter needs one all the same."""
    found = []
    for saving in (False, True):
        torch.manual_seed(0)
        module = decoders.perturb(LoRACausalLM(pretrained=base, gradient_checkpointing=saving, dropout=0.1)).train()
        torch.manual_seed(0)
        module.contract_loss(decoders.batch()).backward()
        found.append({name: p.grad for name, p in module.named_parameters() if p.requires_grad})
        assert module.net.get_base_model().transformer.gradient_checkpointing is saving
    assert all(gradient.abs().sum() > 0 for gradient in found[1].values())
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_folders_for_transformers_and_for_peft(tmp_path, kind):
    base = str(decoders.save(tmp_path / "base", kind))
    module = decoders.perturb(LoRACausalLM(pretrained=base, modules_to_save=["lm_head"]))
    expected, batch = outputs(module), decoders.batch()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    merged = transformers.AutoModelForCausalLM.from_pretrained(module.merge(tmp_path / "merged")).eval()
    torch.testing.assert_close(merged(**inputs).logits, expected, rtol=1e-4, atol=1e-4)
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert words("The list")["input_ids"] == module.tokenizer("The list")["input_ids"]
    folder = module.save_adapter(tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(base), folder).eval()
    assert torch.equal(theirs(**inputs).logits, expected)
    again = LoRACausalLM(pretrained=base, adapter=str(folder))
    assert torch.equal(outputs(again), expected)
    assert again.net.peft_config["default"].modules_to_save == ["lm_head"]
    for write in (module.merge, module.save_adapter):
        with pytest.raises(InputError, match="is not empty"):
            write(tmp_path / "merged")


def test_an_adapter_from_a_folder_trains_on_and_its_checkpoint_does_without_the_folder(base, tmp_path):
    folder = decoders.perturb(LoRACausalLM(pretrained=base, r=2)).save_adapter(tmp_path / "adapter")
    module = LoRACausalLM(pretrained=base, adapter=str(folder), lr=0.1)
    before = outputs(module)
    fit(module, [decoders.batch()] * 2).save_checkpoint(tmp_path / "x.ckpt")
    assert not torch.equal(outputs(module), before)
    folder.rename(tmp_path / "gone")
    loaded = LoRACausalLM.load_from_checkpoint(tmp_path / "x.ckpt")
    assert torch.equal(outputs(loaded), outputs(module))
    with pytest.raises(InputError, match="r does nothing with adapter"):
        LoRACausalLM(pretrained=base, adapter="x", r=4)


def test_merged_for_a_while_and_then_the_same_bits(base):
    module = decoders.perturb(LoRACausalLM(pretrained=base))
    before = outputs(module)
    with module.merged():
        torch.testing.assert_close(outputs(module), before, rtol=1e-4, atol=1e-4)
        assert set(module.state_dict()) == set(LoRACausalLM(pretrained=base).state_dict()), "nothing of it is saved"
    assert torch.equal(outputs(module), before)


def test_the_base_before_training_is_the_plain_model(base):
    module = decoders.perturb(LoRACausalLM(pretrained=base, modules_to_save=["lm_head"])).eval()
    after, batch = outputs(module), decoders.batch()
    with module.before_training() as was, torch.no_grad():
        assert was
        plain = transformers.AutoModelForCausalLM.from_pretrained(base).eval()
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        assert torch.equal(module(**inputs), plain(**inputs).logits)
    assert torch.equal(outputs(module), after)


def test_a_base_in_bfloat16_trains_and_its_checkpoint_loads(base, tmp_path):
    module = LoRACausalLM(pretrained=base, base_precision="bfloat16", lr=0.05, modules_to_save=["lm_head"])
    batch = decoders.batch()
    before = float(module.contract_loss(batch))
    fit(module, [batch] * 10).save_checkpoint(tmp_path / "x.ckpt")
    assert float(module.contract_loss(batch)) < before - 0.1
    assert torch.equal(outputs(LoRACausalLM.load_from_checkpoint(tmp_path / "x.ckpt")), outputs(module))
    assert isinstance(module.generate("The list", max_new_tokens=4), str)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"target_modules": ["q_proj"]}, "no layer q_proj to adapt: set --model.target_modules .*c_attn"),
        ({"modules_to_save": ["score"]}, "no module score"),
        ({"modules_to_save": "lm_head"}, "is a list of names"),
        ({"r": 0}, "r must be positive"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"block_size": 65}, "reads 64 tokens, the data have blocks of 65: set --data.block_size 64"),
        ({"objective": "masked"}, "for a masked model: set --data.objective causal"),
        ({"tokenizer_hash": "0" * 16}, "of another tokenizer than the model's: set --data.tokenizer"),
        ({"pretrained": "./nowhere"}, "no folder ./nowhere"),
        ({"pretrained": None}, "no base to adapt: set --model.pretrained"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(base, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        LoRACausalLM(**{"pretrained": base, **settings})


def test_a_folder_with_a_pickle_alone_is_refused(base, tmp_path):
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no model.safetensors, only pytorch_model.bin"):
        LoRACausalLM(pretrained=str(tmp_path))


def test_a_folder_without_tokenizer_is_refused(base, tmp_path):
    transformers.AutoModelForCausalLM.from_pretrained(base).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="has no tokenizer"):
        LoRACausalLM(pretrained=str(tmp_path))
