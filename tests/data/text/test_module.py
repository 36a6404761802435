import json
import os

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device

from nnzoo.data.text import module as text_module
from nnzoo.data.text.module import TextClassificationDataModule
from nnzoo.data.text.tokenizer import load_tokenizer
from nnzoo.errors import InputError
from support.text_files import reviews, tsv, write


def data(**settings):
    return TextClassificationDataModule(**{"batch_size": 8, "tokenizer": "wordpiece", **settings})


def ready(**settings):
    made = data(**settings)
    made.setup()
    return made


def test_batches_are_those_of_the_tokenizer(file, wordpiece):
    made = ready(train_file=file, tokenizer=wordpiece)
    assert (made.dataset, made.task, made.classes) == ("file", "classification", ["bad", "good"])
    tokenizer, known = load_tokenizer(wordpiece), dict(reviews(60))
    for part in ("train", "val", "test"):
        texts, labels = made.texts(part)
        assert [made.classes[label] for label in labels] == [known[text] for text in texts]
        batches = list(made._loader(part))
        for batch in batches:
            found = tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)
            expected = tokenizer(found, padding=True, return_tensors="pt")
            for name in ("input_ids", "attention_mask", "token_type_ids"):
                assert torch.equal(batch[name], expected[name])
            places = [texts.index(text) for text in found]
            assert torch.equal(batch["labels"], labels[places])
        if part != "train":
            assert [len(batch["labels"]) for batch in batches] == [5, 4], "all, in order"
    texts = {part: set(made.texts(part)[0]) for part in ("train", "val", "test")}
    assert len(set().union(*texts.values())) == sum(map(len, texts.values())) == 60


def test_some_of_a_batch_are_a_batch(file, wordpiece):
    made = ready(train_file=file, tokenizer=wordpiece)
    batch = next(iter(made.test_dataloader()))
    assert made.size_of(batch) == 5
    for rows in (slice(0, 1), torch.tensor([3, 1]), slice(0, 5)):
        chosen = made.select(batch, rows)
        width = int(batch["attention_mask"][rows].sum(dim=1).max())
        assert chosen["input_ids"].shape == (len(batch["labels"][rows]), width)
        assert torch.equal(chosen["input_ids"], batch["input_ids"][rows][:, :width])
        assert torch.equal(chosen["labels"], batch["labels"][rows])
    assert set(move_data_to_device(batch, torch.device("cpu"))) == set(batch)


def test_batches_depend_on_the_seed_and_parts_on_the_split_seed(file, wordpiece):
    def seen(**settings):
        return [
            batch["input_ids"].tolist()
            for batch in ready(train_file=file, tokenizer=wordpiece, **settings).train_dataloader()
        ]

    assert seen(seed=1) == seen(seed=1) != seen(seed=2)
    first, other = (
        set(ready(train_file=file, tokenizer=wordpiece, split_seed=seed).texts("test")[0]) for seed in (0, 1)
    )
    assert first != other


def test_files_for_each_part(tmp_path, wordpiece):
    rows = sorted(reviews(40))
    paths = {f"{part}_file": tsv(tmp_path / f"{part}.tsv", rows[start:end])
             for part, start, end in (("train", 0, 20), ("val", 20, 30), ("test", 30, 40))}  # fmt: skip
    made = ready(**paths, tokenizer=wordpiece)
    assert [made.texts(part)[0] for part in ("val", "test")] == [[t for t, _ in rows[20:30]], [t for t, _ in rows[30:]]]
    assert sorted(made.texts("train")[0]) == sorted(text for text, _ in rows[:20])
    for part in ("train", "val", "test"):
        texts, labels = made.texts(part)
        assert [made.classes[label] for label in labels] == [dict(rows)[text] for text in texts]
    del paths["val_file"]
    made = ready(**paths, tokenizer=wordpiece)
    assert len(made.texts("val")[0]) == 3, "drawn from the training file"


def test_pairs_of_texts(tmp_path, wordpiece):
    rows = [(text, f"the end {i}", label) for i, (text, label) in enumerate(reviews(30))]
    path = tsv(tmp_path / "a.tsv", rows, ("premise", "hypothesis", "label"))
    made = ready(train_file=path, text_pair="hypothesis", tokenizer=wordpiece)
    batch, tokenizer = next(iter(made.test_dataloader())), load_tokenizer(wordpiece)
    pairs = [text.split("\n") for text in made.texts("test")[0][:3]]
    expected = tokenizer(*zip(*pairs, strict=True), padding=True, return_tensors="pt")
    chosen = made.select(batch, slice(0, 3))
    assert torch.equal(chosen["input_ids"], expected["input_ids"])
    assert torch.equal(chosen["token_type_ids"], expected["token_type_ids"])
    assert chosen["token_type_ids"].any()
    both = ready(train_file=path, text_pair="hypothesis", tokenizer=wordpiece, template="{text} so {text_pair}")
    assert both.texts("test")[0][0] == " so ".join(pairs[0])


def test_a_template_stands_around_each_text(tmp_path, wordpiece):
    path = tsv(tmp_path / "a.tsv", [("a {text} {x}", "1"), ("b", "0"), ("c", "1"), ("d", "0")])
    made = ready(train_file=path, tokenizer=wordpiece, template="is {text} good ?")
    texts = {text for part in ("train", "val", "test") for text in made.texts(part)[0]}
    assert texts == {"is a {text} {x} good ?", "is b good ?", "is c good ?", "is d good ?"}
    assert torch.equal(
        made.encode(["b"])["input_ids"][0], torch.tensor(load_tokenizer(wordpiece)("is b good ?")["input_ids"])
    )
    with pytest.raises(InputError, match=r"has no place for the text: write \{text\}"):
        data(train_file=path, template="is it good?")


def test_longer_texts_are_cut_counted_and_said(file, wordpiece):
    long = sum(len(load_tokenizer(wordpiece)(text)["input_ids"]) > 20 for text, _ in reviews(60))
    assert 10 < long < 50
    made = data(train_file=file, tokenizer=wordpiece, max_length=20)
    with pytest.warns(UserWarning, match=f"{long} of 60 texts have more than 20 tokens and are cut"):
        made.setup()
    sep = load_tokenizer(wordpiece).sep_token_id
    for batch in made.train_dataloader():
        assert batch["input_ids"].shape[1] <= 20
        assert (batch["input_ids"].gather(1, batch["attention_mask"].sum(1, keepdim=True) - 1) == sep).all()
    with pytest.raises(InputError, match="needs more than 3 tokens, 2 of which are special"):
        _ = data(train_file=file, tokenizer=wordpiece, max_length=3).max_length


def test_several_labels_and_their_weights(tmp_path, wordpiece):
    kinds = ["fun", "sad;fun", "", "sad"]
    rows = [(text, kinds[i % 4]) for i, (text, _) in enumerate(reviews(40))]
    made = ready(train_file=tsv(tmp_path / "a.tsv", rows, ("text", "label")), separator=";", tokenizer=wordpiece)
    assert (made.task, made.classes) == ("multilabel", ["fun", "sad"])
    known = dict(rows)
    texts, labels = made.texts("train")
    assert labels.dtype == torch.float32
    expected = [[float(name in known[text].split(";")) for name in ("fun", "sad")] for text in texts]
    assert labels.tolist() == expected
    on = torch.tensor(expected).sum(0)
    torch.testing.assert_close(made.class_weights, (len(texts) - on) / on)
    columns = [(text, str(i % 2), str(int(i % 3 == 0))) for i, (text, _) in enumerate(reviews(40))]
    path = tsv(tmp_path / "b.tsv", columns, ("text", "odd", "third"))
    made = ready(train_file=path, target=["odd", "third"], tokenizer=wordpiece)
    assert (made.classes, made.texts("test")[1].shape[1]) == (["odd", "third"], 2)
    on = made.texts("train")[1].mean(0)
    torch.testing.assert_close(made.class_weights, (1 - on) / on)
    listed = write(tmp_path / "c.jsonl", [json.dumps({"text": t, "labels": k.split(";")}) for t, k in rows])
    assert ready(train_file=listed, tokenizer=wordpiece).classes == ["fun", "sad"]


def test_numbers(tmp_path, wordpiece):
    rows = [(text, f"{i / 7:.3f}") for i, (text, _) in enumerate(reviews(40))]
    made = ready(train_file=tsv(tmp_path / "a.tsv", rows), tokenizer=wordpiece)
    assert (made.task, made.classes, made.num_classes) == ("regression", [], 0)
    numbers = torch.tensor([float(dict(rows)[text]) for text in made.texts("train")[0]])
    torch.testing.assert_close(made.texts("train")[1], numbers)
    assert (made.target_mean, made.target_std) == pytest.approx(
        (numbers.mean().item(), numbers.std(correction=0).item())
    )
    assert next(iter(made.train_dataloader()))["labels"].dtype == torch.float32
    few = tsv(tmp_path / "b.tsv", [(text, str(i % 3)) for i, (text, _) in enumerate(reviews(40))])
    assert ready(train_file=few, tokenizer=wordpiece).classes == ["0", "1", "2"]
    assert ready(train_file=few, tokenizer=wordpiece, task="regression").task == "regression"


def test_numbers_far_from_0_are_not_blurred(tmp_path, wordpiece):
    """Seconds of a clock differ by less than single precision tells there."""
    seconds = {text: 1_700_000_000 + 3 * i for i, (text, _) in enumerate(reviews(40))}
    path = tsv(tmp_path / "a.tsv", [(text, str(number)) for text, number in seconds.items()])
    made = ready(train_file=path, tokenizer=wordpiece)
    texts, numbers = made.texts("train")
    expected = np.array([seconds[text] for text in texts], dtype=np.float64)
    np.testing.assert_array_equal(numbers.double().numpy() + made.target_offset, expected)
    assert made.target_mean == pytest.approx(expected.mean(), abs=1e-3)
    assert made.target_std == pytest.approx(expected.std())
    further = data(train_file=path, test_file=path)
    further.load_state_dict(made.state_dict())
    further.setup("test")
    assert torch.equal(further.parts["test"].labels[:5], made._labels_of_all[:5])
    assert made._labels_of_all[:5].abs().max() < 100


def test_class_weights_and_balanced(tmp_path, wordpiece):
    rows = [(text, "rare" if i < 10 else "often") for i, (text, _) in enumerate(reviews(100))]
    other = tsv(tmp_path / "b.tsv", [(text, "often") for text, _ in reviews(30, seed=1)])
    made = ready(train_file=tsv(tmp_path / "a.tsv", rows), test_file=other, tokenizer=wordpiece, balanced=True)
    counts = torch.bincount(made.texts("train")[1]).float()
    torch.testing.assert_close(made.class_weights, counts.sum() / (2 * counts))
    shares = torch.cat([batch["labels"] for _ in range(20) for batch in made.train_dataloader()]).float().mean()
    assert 0.4 < shares < 0.6


def test_predicting_new_texts_with_what_a_checkpoint_keeps(tmp_path, file, wordpiece):
    trained = ready(train_file=file, tokenizer=wordpiece)
    state = trained.state_dict()
    assert json.loads(json.dumps(state)) == state, "plain values"
    os.remove(file)
    new = write(tmp_path / "new.txt", ["a lovely film", "", "weak, with\ttabs"])
    made = data(train_file=file, tokenizer="/gone", predict_file=new)
    made.load_state_dict(state)
    with pytest.warns(UserWarning, match="1 empty lines are left out, the first is line 2"):
        made.setup("predict")
    (batch,) = made.predict_dataloader()
    assert torch.equal(batch["input_ids"], trained.encode(["a lovely film", "weak, with\ttabs"])["input_ids"])
    assert made.predicted_rows()["text"].tolist() == ["a lovely film", "weak, with\ttabs"]
    rows = tsv(tmp_path / "new.tsv", [("a lovely film", "whatever"), ("weak", "")])
    made = data(train_file=file, predict_file=rows)
    made.load_state_dict(state)
    made.setup("predict")
    assert made.predicted_rows()["text"].tolist() == ["a lovely film", "weak"]
    tested = data(train_file=file, test_file=tsv(tmp_path / "test.tsv", reviews(10, seed=5)))
    tested.load_state_dict(state)
    tested.setup("test")
    assert tested.texts("test")[1].tolist() == [1, 0] * 5
    assert len(torch.cat([batch["labels"] for batch in tested.test_dataloader()])) == 10


def test_predicting_without_new_texts_takes_those_of_the_test(file, wordpiece):
    made = ready(train_file=file, tokenizer=wordpiece)
    ids = [row for batch in made.predict_dataloader() for row in batch["input_ids"]]
    rows = made.predicted_rows()
    assert rows["text"].tolist() == made.texts("test")[0]
    assert len(ids) == len(rows) == 9


def test_tokens_are_made_once(file, wordpiece, monkeypatch):
    first = ready(train_file=file, tokenizer=wordpiece)
    monkeypatch.setattr(text_module.TextEncoder, "__call__", lambda *_: pytest.fail("tokenised again"))
    again = ready(train_file=file, tokenizer=wordpiece)
    assert torch.equal(first.parts["train"].table.columns["input_ids"], again.parts["train"].table.columns["input_ids"])
    for other in ({"max_length": 10}, {"template": "so {text}"}, {"tokenizer": "wordpiece"}):
        with pytest.raises(pytest.fail.Exception, match="tokenised again"):
            ready(**{"train_file": file, "tokenizer": wordpiece, **other})


GOOD, BAD = ("a fine film", "good"), ("a dull film", "bad")


@pytest.mark.parametrize(
    ("rows", "settings", "says"),
    [
        ([GOOD, BAD, ("", "good"), BAD], {}, "1 rows have an empty text, the first is line 3"),
        ([GOOD, BAD, ("x", ""), BAD, ("y", "")], {}, "2 rows have no label, the first is line 3"),
        ([GOOD, GOOD], {}, "has one class only, good"),
        ([GOOD, BAD], {"task": "multilabel"}, "say what is between them in label by --data.separator"),
        ([GOOD, BAD], {"separator": ";", "task": "regression"}, "--data.task regression does not go with"),
        ([GOOD, BAD], {"folds": 2, "test_file": "f"}, "leave out --data.test_file"),
        ([("a", "27"), ("b", "2,27"), ("c", "3")], {}, r"label such as '2,27' may be .* or --data.separator ','"),
        ([GOOD, BAD] * 5, {"balanced": True, "separator": ";"}, "--data.balanced needs one class of each text"),
        ([GOOD, BAD], {"max_length": 0}, "max_length must be positive"),
        ([GOOD, BAD], {"vocab_size": 100}, "vocab_size does nothing with tokenizer"),
        ([GOOD, BAD], {"hub_config": "x"}, "hub_config does nothing with dataset file"),
        ([GOOD, BAD], {"val_file": "absent.tsv"}, r"There is no file absent.tsv"),
    ],
)
def test_bad_input(tmp_path, wordpiece, rows, settings, says):
    path = tsv(tmp_path / "a.tsv", rows)
    settings = {name: path if value == "f" else value for name, value in settings.items()}
    with pytest.raises(InputError, match=says):
        ready(train_file=path, tokenizer=wordpiece, **settings).train_dataloader()


def test_texts_of_training_among_those_of_a_test_are_counted(tmp_path, wordpiece):
    rows = reviews(30)
    train, other = tsv(tmp_path / "a.tsv", rows), tsv(tmp_path / "b.tsv", [*rows[:3], *reviews(7, seed=1)])
    files = {"train_file": train, "val_file": other, "test_file": tsv(tmp_path / "c.tsv", reviews(7, seed=2))}
    with pytest.warns(UserWarning, match="3 of the 10 val texts are among those of training too") as given:
        ready(**files, tokenizer=wordpiece)
    assert not any("test texts" in str(warning.message) for warning in given)


def test_second_texts_that_are_left_out_are_said(tmp_path, wordpiece):
    path = tsv(tmp_path / "a.tsv", [("a", "b", text, label) for text, label in reviews(20)],
               ("sentence1", "sentence2", "idx", "label"))  # fmt: skip
    with pytest.warns(UserWarning, match="sentence2 is left out, .* add --data.text_pair sentence2"):
        ready(train_file=path, tokenizer=wordpiece)
    made = ready(train_file=path, tokenizer=wordpiece, text="sentence1", target="label")
    assert made._loaded["train"].pairs is None


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_label_that_training_does_not_have(tmp_path, wordpiece, part):
    train = tsv(tmp_path / "a.tsv", [GOOD, BAD] * 5)
    other = tsv(tmp_path / "b.tsv", [GOOD, ("so so", "middling"), BAD])
    with pytest.raises(InputError, match=r"b\.tsv, line 2: the label 'middling' is not among .*: bad, good"):
        ready(train_file=train, tokenizer=wordpiece, **{f"{part}_file": other})
