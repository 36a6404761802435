import os
import subprocess
import sys

import pytest
import transformers

import nnzoo.data.text.tokenizer as tokenizer_module
from nnzoo.data.text.encoding import special_around
from nnzoo.data.text.module import TextClassificationDataModule
from nnzoo.data.text.tokenizer import (
    USUAL_LENGTH,
    files_of,
    fingerprint,
    load_tokenizer,
    longest_input,
    tokenizer_of,
    trained_tokenizer,
)
from nnzoo.errors import InputError
from support.text_files import reviews

TEXTS = [text for text, _ in reviews(100)]


def test_a_tokenizer_as_berts():
    made = trained_tokenizer(TEXTS, "wordpiece", 120)
    assert len(made) == 120
    ids = made("A LOVELY film!", "weak")
    assert made.convert_ids_to_tokens(ids["input_ids"])[:4] == ["[CLS]", "a", "lovely", "film"]
    first = ids["input_ids"].index(made.sep_token_id) + 1
    assert ids["token_type_ids"] == [0] * first + [1] * (len(ids["input_ids"]) - first)
    assert made.decode(ids["input_ids"], skip_special_tokens=True).startswith("a lovely film")
    assert set(made.all_special_tokens) == {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}
    assert "##a" not in made.added_tokens_encoder, "letters are ordinary tokens"


def test_a_tokenizer_as_gpt2s():
    made = trained_tokenizer(TEXTS, "bpe", 300)
    text = "A lovely film!\n  Größe \u2603 <|endoftext"
    assert made.decode(made(text)["input_ids"]) == text, "bytes: nothing is lost"
    assert made.pad_token_id != made.eos_token_id == made.bos_token_id == 0
    assert len(made) == 300


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_training_gives_the_same_in_each_process(kind):
    """The library numbers letters within words by a hash table's order unless that is prevented."""
    program = (
        f"from support.text_files import reviews; from nnzoo.data.text.tokenizer import *; "
        f"print(fingerprint(trained_tokenizer([t for t, _ in reviews(100)], {kind!r}, 150)))"
    )
    environment = {**os.environ, "PYTHONPATH": "tests", "PYTHONHASHSEED": "5"}
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert {other.stdout.strip()} == {fingerprint(trained_tokenizer(TEXTS, kind, 150)) for _ in range(3)}


@pytest.mark.parametrize("kind", ["wordpiece", "byte_pairs"])
def test_a_tokenizer_survives_as_texts(kind, request):
    first = load_tokenizer(request.getfixturevalue(kind))
    files = files_of(first)
    again = tokenizer_of(files)
    assert files_of(again) == files
    assert fingerprint(again) == fingerprint(first)
    assert again(TEXTS)["input_ids"] == first(TEXTS)["input_ids"]


def test_fingerprints_tell_tokenizers_apart_but_not_how_they_were_used(wordpiece):
    first, other = (load_tokenizer(wordpiece) for _ in range(2))
    other(TEXTS, truncation=True, max_length=7, padding="max_length")
    assert fingerprint(first) == fingerprint(other)
    assert other(TEXTS[0], truncation=True, max_length=7)["input_ids"][-1] == other.sep_token_id
    for name, value in (
        ("chat_template", "{{ messages }}"),
        ("model_input_names", ["input_ids", "attention_mask"]),  # no kinds of tokens, as of DistilBERT
        ("truncation_side", "left"),
    ):
        other = transformers.AutoTokenizer.from_pretrained(wordpiece, **{name: value})
        assert fingerprint(first) != fingerprint(other)
        assert fingerprint(tokenizer_of(files_of(other))) == fingerprint(other)
    larger = trained_tokenizer(TEXTS, "wordpiece", 201)
    assert fingerprint(first) != fingerprint(larger)


def test_special_tokens_and_the_longest_input(wordpiece, byte_pairs):
    tokenizer = load_tokenizer(wordpiece)
    assert special_around(tokenizer) == ([tokenizer.cls_token_id], [tokenizer.sep_token_id])
    assert special_around(load_tokenizer(byte_pairs)) == ([], [])
    assert longest_input(tokenizer) == USUAL_LENGTH
    tokenizer.model_max_length = 64
    assert longest_input(tokenizer) == 64


def test_a_folder_without_a_tokenizer(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"has no tokenizer \(tokenizer.json, .*save_pretrained"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_that_is_damaged(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match=r"cannot be read .*: save it anew"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        load_tokenizer(name)


def test_a_name_that_the_hub_does_not_give(monkeypatch):
    def refuses(name, local_files_only):
        assert local_files_only, "without a network nothing is tried again and again"
        raise OSError("We couldn't connect to 'https://huggingface.co' to load the files")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuses)
    monkeypatch.setattr(tokenizer_module, "is_offline", lambda: True)
    with pytest.raises(InputError, match=r"no tokenizer of that name could be had .*connect.*check the name and"):
        _ = TextClassificationDataModule(tokenizer="bert-base-uncasedd").text_tokenizer
