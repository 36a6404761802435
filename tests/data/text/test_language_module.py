import os
from itertools import pairwise

import pytest
import torch
from scipy import stats

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.text import language_module
from nnzoo.data.text.blocks import divided
from nnzoo.data.text.language_module import TextDataModule
from nnzoo.data.text.tokenizer import load_tokenizer
from nnzoo.errors import InputError
from support.text_files import reviews, write

TEXTS = [text for text, _ in reviews(60)]


def ready(**settings):
    made = TextDataModule(**{"batch_size": 8, "block_size": 16, **settings})
    made.setup()
    return made


@pytest.fixture
def lines(tmp_path):
    """A file with a document in each line."""
    return {"train_file": write(tmp_path / "lines.txt", TEXTS), "document": "line"}


def whole(dataset):
    """All samples of a dataset as one batch."""
    return dataset.__getitems__(BatchIndex(torch.arange(len(dataset)), 0, slice(None), len(dataset)))


# Blocks


@pytest.mark.parametrize("overlap", [0, 1])
@pytest.mark.parametrize("most", [4, 7, 100])
def test_each_token_is_in_one_block_of_its_document(overlap, most):
    lengths = torch.tensor([5, 2, 101, 8, 7, 300])
    blocks = divided(torch.arange(6), lengths, most, overlap)
    for number, length in enumerate(lengths.tolist()):
        own = blocks.documents == number
        covered = [
            list(range(start, start + size))
            for start, size in zip(blocks.starts[own].tolist(), blocks.lengths[own].tolist(), strict=True)
        ]
        predicted = [place for tokens in covered for place in tokens[overlap:]]
        assert predicted == list(range(overlap, length))
        assert all(tokens[0] == before[-1] for before, tokens in pairwise(covered)) or not overlap
        sizes = {len(tokens) for tokens in covered}
        assert max(sizes) <= most
        assert max(sizes) - min(sizes) <= 1
        assert len(covered) == -(-(length - overlap) // (most - overlap)), "no more than are needed"


def test_a_causal_model_predicts_each_token_of_a_document_once_and_its_end(lines, byte_pairs):
    made, tokenizer = ready(**lines, objective="causal", tokenizer=byte_pairs), load_tokenizer(byte_pairs)
    dataset = made.parts["train"]
    batch, documents = whole(dataset), dataset.blocks.documents
    assert torch.equal(batch["labels"], batch["input_ids"].where(batch["attention_mask"].bool(), -100))
    assert batch["input_ids"].shape[1] <= 16
    found = {}
    for number, ids, mask in zip(documents.tolist(), batch["input_ids"], batch["attention_mask"], strict=True):
        tokens = ids[: int(mask.sum())].tolist()
        assert not mask[len(tokens) :].any()
        assert not found.get(number) or found[number][-1] == tokens[0]
        found[number] = found.get(number, [])[:-1] + tokens
    texts = made.texts("train")
    assert sorted(found.values()) == sorted([*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts)


def test_blocks_of_a_masked_model_are_the_tokenizers_own(lines, wordpiece):
    made, tokenizer = ready(**lines, tokenizer=wordpiece, block_size=64), load_tokenizer(wordpiece)
    batch = whole(made.parts["val"])
    ids = torch.where(batch["labels"] == -100, batch["input_ids"], batch["labels"])
    expected = tokenizer(made.texts("val"), padding=True, return_tensors="pt")
    assert torch.equal(ids, expected["input_ids"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])


# Masks


def test_masks_have_their_shares_and_spare_special_tokens(lines, wordpiece):
    made, tokenizer = ready(**lines, tokenizer=wordpiece), load_tokenizer(wordpiece)
    batches = [batch for _ in range(100) for batch in made.train_dataloader()]
    of_tokens = chosen = masked = same = 0
    for batch in batches:
        hit = batch["labels"] != -100
        ids = torch.where(hit, batch["labels"], batch["input_ids"])
        special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
        unknown = ids == tokenizer.unk_token_id
        assert not (hit & special & ~unknown).any()
        assert hit.any(dim=1).all(), "each text has something to predict"
        drawn = hit & (batch["input_ids"] != tokenizer.mask_token_id)
        assert not torch.isin(
            batch["input_ids"][drawn & (batch["input_ids"] != batch["labels"])], torch.tensor(tokenizer.all_special_ids)
        ).any()
        of_tokens, chosen = of_tokens + int((~special).sum()), chosen + int(hit.sum())
        masked += int((batch["input_ids"][hit] == tokenizer.mask_token_id).sum())
        same += int((batch["input_ids"][hit] == batch["labels"][hit]).sum())
    assert stats.binomtest(masked, chosen, 0.8).pvalue > 1e-3
    assert 0.15 <= chosen / of_tokens < 0.17, "a little more, for short texts without any"
    assert stats.binomtest(same, chosen, 0.1 + 0.1 / (made.vocab_size - 5)).pvalue > 1e-3


def test_evaluation_masks_are_always_the_same_and_training_masks_are_not(lines, wordpiece):
    def labels(part, batch_size, seed, epochs=1):
        made = ready(**lines, tokenizer=wordpiece, batch_size=batch_size, seed=seed)
        return [
            {tuple(row[row != -100].tolist()) for batch in made._loader(part) for row in batch["labels"]}
            for _ in range(epochs)
        ]

    assert labels("val", 8, 0) == labels("val", 3, 1)
    first, second = labels("train", 4, 0, epochs=2)
    assert len(first & second) < 0.5 * len(first)


def test_training_masks_do_not_depend_on_the_number_of_devices(lines, wordpiece):
    dataset = ready(**lines, tokenizer=wordpiece).parts["train"]
    samples = torch.tensor([5, 0, 9, 3, 7, 1])
    one = dataset.__getitems__(BatchIndex(samples, 11, slice(None), 6))
    for rank in (0, 1):
        rows = slice(rank, None, 2)
        two = dataset.__getitems__(BatchIndex(samples[rows], 11, rows, 6))
        width = two["labels"].shape[1]
        assert torch.equal(two["labels"], one["labels"][rows, :width])
        assert torch.equal(two["input_ids"], one["input_ids"][rows, :width])


def test_whole_words(tmp_path, wordpiece):
    tokenizer = load_tokenizer(wordpiece)
    text = "unexpectedly interesting marvellousness of it all"
    words = tokenizer(text, add_special_tokens=False).word_ids()
    assert len(words) > 2 * len(set(words)), "words of several tokens"
    path = write(tmp_path / "a.txt", [f"{text} {text}"] * 30)
    made = ready(train_file=path, document="line", tokenizer=wordpiece, whole_words=True, block_size=200)
    words = tokenizer(f"{text} {text}", add_special_tokens=False).word_ids()
    for row in torch.cat([batch["labels"] for batch in made.train_dataloader()]):
        hit = {word for word, label in zip(words, row[1:].tolist(), strict=False) if label != -100}
        assert hit
        assert all((label != -100) == (word in hit) for word, label in zip(words, row[1:].tolist(), strict=False))


def test_the_cache_tells_tokenizers_objectives_and_whole_words_apart(lines, wordpiece, monkeypatch):
    ready(**lines, tokenizer=wordpiece)
    monkeypatch.setattr(language_module.DocumentEncoder, "__call__", lambda *_: pytest.fail("tokenised again"))
    ready(**lines, tokenizer=wordpiece, block_size=20)
    for other in ({"whole_words": True}, {"objective": "causal"}, {"tokenizer": "wordpiece"}):
        with pytest.raises(pytest.fail.Exception, match="tokenised again"):
            ready(**{**lines, "tokenizer": wordpiece, **other})


# Files


def test_columns_that_are_left_out_of_a_file_without_a_header_are_said(tmp_path, byte_pairs):
    path = write(tmp_path / "a.csv", [f"Hello, reader {i}" for i in range(9)])
    with pytest.warns(UserWarning, match=r"of its 2 columns the first alone is read, such as 'Hello'.*save it as .txt"):
        ready(train_file=path, objective="causal", tokenizer=byte_pairs)


def test_plain_text_is_divided_as_asked(tmp_path, byte_pairs):
    text = "\n\n".join(f"{TEXTS[i]}\n{TEXTS[i + 1]}" for i in range(0, 40, 2))
    path = write(tmp_path / "a.txt", [text])
    common = {"train_file": path, "objective": "causal", "tokenizer": byte_pairs}
    counts = {unit: len(TextDataModule(**common, document=unit)._all) for unit in ("paragraph", "line")}
    assert counts == {"paragraph": 20, "line": 40}
    made = TextDataModule(**common, val_fraction=0.2, test_fraction=0.3)
    parts = {part: made.texts(part)[0] for part in ("train", "val", "test")}
    assert "\n\n".join(parts.values()) == text, "one after the other"
    sizes = {part: len(piece) / len(text) for part, piece in parts.items()}
    assert sizes == pytest.approx({"train": 0.5, "val": 0.2, "test": 0.3}, abs=0.06)


def test_a_folder_of_texts(tmp_path, byte_pairs):
    (tmp_path / "texts" / "more").mkdir(parents=True)
    for number, text in enumerate(TEXTS[:10]):
        write(tmp_path / "texts" / ("more" if number % 2 else "") / f"{number}.txt", [text])
    made = TextDataModule(train_file=str(tmp_path / "texts"), objective="causal", tokenizer=byte_pairs)
    assert sorted(text for part in ("train", "val", "test") for text in made.texts(part)) == sorted(TEXTS[:10])
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"has no \.txt files"):
        TextDataModule(train_file=str(tmp_path / "none")).setup()


def test_a_checkpoint_is_tested_on_other_texts(tmp_path, lines, wordpiece):
    state = ready(**lines, tokenizer=wordpiece).state_dict()
    os.remove(lines["train_file"])
    made = TextDataModule(
        **{**lines, "document": "line"}, test_file=write(tmp_path / "b.txt", TEXTS[:9]), block_size=16
    )
    made.load_state_dict(state)
    made.setup("test")
    assert made.texts("test") == TEXTS[:9]
    assert made.num_words("test") == sum(len(text.split()) for text in TEXTS[:9])
    ids = [row for batch in made.test_dataloader() for row in batch["input_ids"]]
    assert len(ids) == len(made.parts["test"])


def test_some_of_a_batch_and_what_is_predicted(lines, wordpiece):
    made = ready(**lines, tokenizer=wordpiece)
    batch = next(iter(made.test_dataloader()))
    chosen = made.select(batch, torch.tensor([1]))
    width = int(batch["attention_mask"][1].sum())
    assert {name: tuple(values.shape) for name, values in chosen.items()} == dict.fromkeys(batch, (1, width))
    rows = made.predicted_rows()["text"]
    assert len(rows) == sum(made.size_of(batch) for batch in made.predict_dataloader())
    assert " ".join(rows).split() == " ".join(made.texts("test")).split()


def test_masks_of_new_texts_are_all_that_is_to_be_filled_in(lines, wordpiece, tmp_path):
    (tmp_path / "new.txt").write_text("the list [MASK] names\n")
    made = ready(**lines, tokenizer=wordpiece, predict_file=str(tmp_path / "new.txt"))
    (batch,) = made.predict_dataloader()
    wanted = made.text_tokenizer("the list [MASK] names", return_tensors="pt")["input_ids"]
    assert batch["input_ids"].tolist() == wanted.tolist()
    assert (batch["labels"] == -100).all()
    assert "[MASK]" in made.predicted_rows()["text"][0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"block_size": 3}, "A block needs more than 3 tokens, got 3"),
        ({"mask_share": 1.0}, "mask_share lies between 0 and 1"),
        ({"objective": "causal", "mask_share": 0.3}, "mask_share does nothing with objective causal"),
        ({"prompt": "a"}, "give both --data.prompt and --data.answer"),
        ({"prompt": "a", "answer": "b"}, "add --data.objective causal"),
        ({"learn_prompt": True}, "learn_prompt does nothing without --data.prompt"),
        ({"folds": 3}, "folds is for texts with labels"),
        ({"most_samples": 3}, "most_samples does nothing with dataset file"),
        ({"train_file": None, "dataset": "file"}, "needs --data.train_file"),
    ],
)
def test_bad_settings(lines, wordpiece, settings, says):
    with pytest.raises(InputError, match=says):
        ready(**{**lines, "tokenizer": wordpiece, **settings})


def test_without_a_tokenizer_one_of_the_kind_of_the_model_is_trained(lines):
    masked, causal = (ready(**lines, objective=objective) for objective in ("masked", "causal"))
    assert (masked.mask_token_id is None, causal.mask_token_id is None) == (False, True)
    assert (masked.eos_token_id is None, causal.eos_token_id is None) == (True, False)
    assert (
        masked.text_tokenizer.decode(masked.text_tokenizer(TEXTS[0])["input_ids"], skip_special_tokens=True) == TEXTS[0]
    )


def test_a_masked_model_needs_a_token_for_what_is_masked(lines, byte_pairs):
    with pytest.raises(InputError, match=r"has no token for what is masked: set --data\.objective causal"):
        ready(**lines, tokenizer=byte_pairs)


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="needs shakespeare under $NNZOO_DATA")
def test_the_plays(byte_pairs):
    made = ready(dataset="shakespeare", objective="causal", tokenizer=byte_pairs)
    train, val, test = (made.texts(part)[0] for part in ("train", "val", "test"))
    assert train.startswith("First Citizen:\nBefore we proceed")
    assert 0.045 < len(test) / (len(train) + len(val) + len(test)) < 0.055
    assert all(text.split("\n")[0].endswith(":") for text in (val, test)), "cut between speeches"
