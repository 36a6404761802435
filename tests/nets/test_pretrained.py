"""Models of transformers from folders: shapes, weights, what is refused."""

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification

from nnzoo import InputError
from nnzoo.nets.pretrained import (
    build_model,
    config_of,
    folder_of,
    load_weights,
    longest_input,
    packaged,
    read_config,
    save_model,
    weight_names,
    weights_hash,
)
from support import encoders

HEADED = "AutoModelForSequenceClassification"


@pytest.fixture
def folder(tmp_path):
    return encoders.save(tmp_path / "encoder")


def test_the_weights_are_those_that_transformers_loads(folder):
    model = build_model(HEADED, read_config(str(folder)), num_labels=3)
    assert load_weights(model.base_model, str(folder)) == []
    theirs = AutoModel.from_pretrained(folder).state_dict()
    assert theirs.keys() == model.base_model.state_dict().keys()
    for name, value in model.base_model.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_a_shape_is_plain_values_that_make_the_model_without_its_folder(folder):
    shape = read_config(str(folder))
    assert json.loads(json.dumps(shape)) == shape
    assert not {"architectures", "_name_or_path", "dtype", "transformers_version"} & shape.keys()
    weights = build_model("AutoModel", shape)
    assert {n: p.shape for n, p in weights.named_parameters()} == {
        n: p.shape for n, p in AutoModel.from_pretrained(folder).named_parameters()
    }


def test_half_precision_on_disk_is_float32_in_memory(tmp_path):
    model = build_model("AutoModel", encoders.config().to_dict())
    save_model(model.half(), tmp_path / "half")
    again = build_model("AutoModel", read_config(str(tmp_path / "half")))
    load_weights(again, str(tmp_path / "half"))
    for name, parameter in again.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, model.get_parameter(name).float())


def test_what_a_file_lacks_is_named_and_left_as_it_is(tmp_path):
    folder = encoders.save(tmp_path / "masked", auto="AutoModelForMaskedLM")
    assert not any("pooler" in name for name in weight_names(str(folder)))
    model = build_model(HEADED, read_config(str(folder)))
    before = model.base_model.pooler.dense.weight.clone()
    assert load_weights(model.base_model, str(folder)) == ["pooler.dense.bias", "pooler.dense.weight"]
    assert torch.equal(model.base_model.pooler.dense.weight, before)


def test_pickles_are_refused_and_never_opened(folder):
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no model\.safetensors, only pytorch_model\.bin, and loading that could run"):
        folder_of(str(folder))


def test_a_missing_folder_or_name_or_config_is_a_sentence(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="There is no folder /nowhere/at/all"):
        folder_of("/nowhere/at/all")
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json"):
        folder_of(str(folder))


def test_no_network_is_a_sentence(monkeypatch):
    import huggingface_hub

    def fail(name, allow_patterns):
        assert not any("bin" in pattern for pattern in allow_patterns), "pickles are not even downloaded"
        raise huggingface_hub.errors.LocalEntryNotFoundError("cannot connect")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(InputError, match=r"no folder someone/model, .*cannot connect.*check the name and the network"):
        read_config("someone/model")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model_type": "no_such_kind"}', '{"model_type": 3}'])
def test_a_config_that_is_none_is_a_sentence(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"cannot be read|no model of"):
        read_config(str(folder))


def test_code_that_comes_with_a_model_is_not_run(folder):
    values = json.loads((folder / "config.json").read_text()) | {"auto_map": {"AutoModel": "evil.Evil"}}
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "evil.py").write_text("raise SystemExit('run')")
    model = build_model("AutoModel", read_config(str(folder)))
    load_weights(model, str(folder))
    assert type(model).__name__ == "BertModel"


def test_weights_of_another_shape_or_damaged_ones_are_refused(folder):
    other = build_model("AutoModel", {**read_config(str(folder)), "hidden_size": 32})
    with pytest.raises(InputError, match=r"do not fit the model|cannot be read"):
        load_weights(other, str(folder))
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(build_model("AutoModel", read_config(str(folder))), str(folder))
    with pytest.raises(InputError, match="cannot be read"):
        weight_names(str(folder))


def test_the_hash_tells_a_bit_a_name_and_a_shape():
    state = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}
    known = weights_hash(state)
    assert known == weights_hash(dict(reversed(state.items())))
    changed = state["a"].clone()
    changed[1, 2] = torch.nextafter(changed[1, 2], torch.tensor(9.0))
    others = [{**state, "a": changed}, {**state, "a": state["a"].view(3, 2)}, {"a": state["a"], "c": state["b"]}]
    assert len({known, *map(weights_hash, others)}) == 4


def test_a_saved_model_is_whole_or_absent(tmp_path, monkeypatch, folder):
    model = build_model(HEADED, read_config(str(folder)), num_labels=3)
    with pytest.raises(InputError, match="is not empty"):
        save_model(model, folder)
    monkeypatch.setattr(type(model), "save_pretrained", lambda self, path: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        save_model(model, tmp_path / "new")
    assert not list(tmp_path.glob("new*"))


def test_a_saved_model_loads_with_its_tokenizer(tmp_path, folder):
    from transformers import AutoTokenizer

    model = build_model(HEADED, read_config(str(folder)), num_labels=3).eval()
    saved = save_model(model, tmp_path / "saved", encoders.facts()["tokenizer_files"])
    again = AutoModelForSequenceClassification.from_pretrained(saved)
    ids = AutoTokenizer.from_pretrained(saved)("a fine film", return_tensors="pt")["input_ids"]
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    # Weights in a mapped file may be aligned otherwise than those in memory: kernels then add up in another order.
    torch.testing.assert_close(again(ids).logits, model(ids).logits, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("kind", "most"), [("bert", 40), ("distilbert", 40), ("roberta", 39)])
def test_the_longest_input_is_what_the_model_takes(kind, most):
    """RoBERTa's positions begin behind that of the padding token."""
    values = {**encoders.config(kind).to_dict()}
    assert longest_input(values) == most
    model = build_model("AutoModel", values).eval()
    model(torch.full((1, most), 7))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, most + 1), 7))


def test_a_kind_of_model_without_such_a_head_is_a_sentence():
    with pytest.raises(InputError, match="cannot be built for MaskedLM"):
        build_model("AutoModelForMaskedLM", {"model_type": "gpt2"})
    with pytest.raises(InputError, match="has no model_type"):
        config_of({"hidden_size": 3})


def test_names_of_packaged_models_are_plain():
    assert packaged("../errors") is None
    assert packaged("no_such_model") is None


def test_transformers_is_imported_where_it_is_used_only():
    names = "BertClassifier, MaskedLanguageModel, TextClassificationDataModule, TextDataModule"
    absent = "assert not {'transformers.modeling_utils', 'peft'} & set(sys.modules)"
    code = f"import sys; from nnzoo import {names}; {absent}"
    subprocess.run([sys.executable, "-c", code], check=True)
