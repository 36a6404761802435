"""Pictures of an encoder of texts: what they say must be what the model does."""

import pytest
import torch
from matplotlib.colors import to_rgb

from nnzoo import BertMultilabelClassifier, BertRegressor
from nnzoo.plots.texts import attention_layers, word_values
from support import encoders
from support.drawn import apart
from support.encoders import CLASSES
from support.encoders import built as module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(encoders.save(tmp_path_factory.mktemp("saved") / "encoder"))


def rows(figure, columns):
    """The texts of a table in rows, by their places."""
    texts = sorted(figure.texts, key=lambda text: (-text.get_position()[1], text.get_position()[0]))
    return [texts[i : i + columns] for i in range(0, len(texts), columns)]


def test_mistakes_are_wrong_and_the_most_confident_first(folder):
    model, batch = module(folder), encoders.batch(rows=40)
    head, *table = rows(model.figures(batch, {})["mistakes"], 4)
    assert [text.get_text() for text in head] == ["text", "true", "predicted", "p"]
    p = model.predict_step(batch, 0)
    wrong = (p.argmax(dim=1) != batch["labels"]).nonzero()[:, 0]
    order = wrong[p[wrong].max(dim=1).values.argsort(descending=True)][:12].tolist()
    texts = model.texts_of(batch)
    assert len(table) == len(order) > 5
    for row, number in zip(table, order, strict=True):
        shown, true, predicted, score = (text.get_text() for text in row)
        assert texts[number].startswith(shown.rstrip("…"))
        assert (true, predicted) == (CLASSES[batch["labels"][number]], CLASSES[p[number].argmax()])
        assert float(score) == pytest.approx(float(p[number].max()), abs=6e-4)


def test_there_is_no_table_of_mistakes_where_there_are_none(folder):
    model, batch = module(folder), encoders.batch()
    batch["labels"] = model.predict_step(batch, 0).argmax(dim=1)
    figures = model.figures(batch, {})
    assert "mistakes" not in figures
    assert {"attention", "words"} <= set(figures)


def test_attention_is_drawn_with_who_looks_in_rows():
    weights = torch.rand(2, 3, 4, 4)
    figure = attention_layers(["[CLS]", "fine", "$", "[SEP]"], weights)
    for layer, axis in enumerate(figure.axes[:2]):
        torch.testing.assert_close(torch.tensor(axis.images[0].get_array()), weights[layer].mean(dim=0))
        assert [tick.get_text() for tick in axis.get_yticklabels()] == ["[CLS]", "fine", r"\$", "[SEP]"]
        assert [tick.get_text() for tick in axis.get_xticklabels()] == ["[CLS]", "fine", r"\$", "[SEP]"]
        assert axis.get_title() == f"layer {layer + 1} of 2"
    assert figure._supxlabel.get_text() == "attended to"
    assert figure._supylabel.get_text() == "attending"
    assert len(attention_layers(["a"] * 3, torch.rand(24, 1, 3, 3)).axes) == 7, "six of many layers, and their scale"


def test_a_text_in_the_picture_of_attention_is_one_of_the_batch(folder):
    model, batch = module(folder), encoders.batch()
    axis = model.figures(batch, {})["attention"].axes[0]
    shown = [tick.get_text() for tick in axis.get_yticklabels()]
    known = [model.tokens_of(batch, row) for row in range(6)]
    assert shown in known
    ids, mask = (batch[name][known.index(shown), None, : len(shown)] for name in ("input_ids", "attention_mask"))
    expected = model.net.attention(ids, mask)[0, 0].mean(dim=0)
    torch.testing.assert_close(torch.tensor(axis.images[0].get_array()), expected)


def test_words_are_shaded_by_their_share_of_the_largest():
    figure = word_values([("bad (0.90)", [("fine", -1.0), ("$x$", 2.0), ("the", 0.0)])])
    found = {text.get_text(): text for text in figure.texts}
    red, _, blue = to_rgb(found["fine"].get_bbox_patch().get_facecolor())
    assert red > blue
    red, _, blue = to_rgb(found["$x$"].get_bbox_patch().get_facecolor())
    assert blue > red
    assert min(to_rgb(found["the"].get_bbox_patch().get_facecolor())) > 0.9
    assert found["bad (0.90)"].get_weight() == "bold"
    long = word_values([("t", [(f"word{i}", 1.0) for i in range(60)])])
    assert len({text.get_position()[1] for text in long.texts}) > 4, "broken into lines"
    assert apart(figure)
    assert apart(long)
    assert {text.get_color() for text in long.texts if text.get_text().startswith("word")} == {"white"}


def test_the_importance_of_a_word_is_the_sum_over_its_tokens(folder):
    model = module(folder)
    text = "a Fine filmy evening, warm"
    tokens = model.tokenizer.convert_ids_to_tokens(model.tokenize([text])["input_ids"][0].tolist())
    assert any(token.startswith("##") for token in tokens), "some word has several"
    values = model.net.saliency(torch.tensor([1]), *model.split(model.tokenize([text]))[0])[0]
    found = model.word_importance(text, output=1)
    assert [word for word, _ in found] == ["a", "Fine", "filmy", "evening", ",", "warm"]
    assert sum(value for _, value in found) == pytest.approx(float(values[1:-1].sum()), abs=1e-5)
    p = model.predict_texts([text])
    assert model.word_importance(text) == model.word_importance(text, output=int(p.argmax()))


def test_titles_say_what_is_predicted_and_regressors_give_numbers(folder):
    model = module(folder)
    texts = ["a fine film", "cold"]
    for title, one in zip(model.titles_of(texts), model.classify(texts), strict=True):
        assert title == f"{one['label']} ({one['score']:.2f})"
    regressor, batch = module(folder, BertRegressor, target_mean=5.0), encoders.batch()
    batch["labels"] = torch.randn(6)
    figures = regressor.figures(batch, {})
    assert {"predictions", "attention", "words"} <= set(figures)
    assert figures["words"].texts[-1].get_text().endswith("blue raises the number, red lowers it")
    assert regressor.titles_of(texts) == [f"{value:.4g}" for value in regressor.predict_numbers(texts)]


def test_labels_are_counted_as_they_are_true_predicted_and_both(folder):
    model, batch = module(folder, BertMultilabelClassifier), encoders.batch(rows=20)
    batch["labels"] = (torch.rand(20, 3) > 0.5).float()
    axis = model.figures(batch, {"classes": CLASSES})["labels"].axes[0]
    true, predicted = batch["labels"] > 0.5, model.predict_step(batch, 0) > 0.5
    shown = {text.get_text(): [bar.get_width() for bar in bars]
             for text, bars in zip(axis.get_legend().get_texts(), axis.containers, strict=True)}  # fmt: skip
    expected = {"true": true, "predicted": predicted, "both": true & predicted}
    assert shown == {name: value.sum(dim=0).tolist() for name, value in expected.items()}
    assert [tick.get_text() for tick in axis.get_yticklabels()] == CLASSES


def test_both_texts_of_a_pair_are_shown_and_their_words_are_not_taken_for_one_text(folder):
    model = module(folder)
    batch = model.tokenize(["a fine film", "a dull one"], ["warm", "cold and long"])
    assert model.texts_of(batch) == ["a fine film | warm", "a dull one | cold and long"]
    figures = model.figures(batch | {"labels": torch.tensor([0, 1])}, {})
    assert "attention" in figures
    assert "words" not in figures
