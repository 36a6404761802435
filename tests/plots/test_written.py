import numpy as np

from nnzoo.plots.written import LINES, string_table, text_table, wrapped
from support.drawn import apart, texts


def test_texts_stand_in_their_columns_and_dollars_are_dollars():
    columns = {"before": ["cost $1$", "two"], "after": ["a\nb", "x" * 30]}
    figure = text_table(columns, "title", width=10)
    figure.canvas.draw()
    drawn = {text.get_text(): text for text in figure.texts}
    assert list(drawn) == [
        "title",
        "before",
        "after",
        "cost $1$",
        "a\nb",
        "two",
        "x" * 10 + "\n" + "x" * 10 + "\n" + "x" * 10,
    ]
    left, right = (drawn[name].get_position()[0] for name in columns)
    assert left < right
    assert drawn["cost $1$"].get_position()[0] == drawn["two"].get_position()[0] == left
    assert drawn["a\nb"].get_position()[0] == right
    heights = [drawn[name].get_position()[1] for name in ("title", "before", "cost $1$", "two")]
    assert heights == sorted(heights, reverse=True)


def test_long_and_strange_texts_are_cut_and_made_visible():
    assert wrapped("a\n" * 20, 10).count("\n") == LINES - 1
    assert wrapped("a\n" * 20, 10).endswith("...")
    assert wrapped("a\x00b\tc", 10) == "a□b c"
    assert wrapped("", 10) == ""


def test_wrong_outputs_are_red_and_dollars_are_dollars():
    figure = string_table(["ab", "$x$"], ["ba", "x$"], ["ba", "xx"])
    assert texts(figure.texts) == ["source", "target", "output", "ab", "ba", "ba", "$x$", "x$", "xx"]
    assert [text.get_text() for text in figure.texts if text.get_color() == "tab:red"] == ["xx"]
    x, y = (np.array([text.get_position()[i] for text in figure.texts]).reshape(3, 3) for i in (0, 1))
    assert (np.diff(x, axis=1) > 0).all(), "columns from left to right"
    assert (np.diff(y, axis=0) < 0).all(), "rows from top to bottom"


def test_columns_are_as_wide_as_their_texts():
    figure = text_table({"text": ["m" * 90, "w"], "true": ["a" * 40] * 2, "p": ["0.9"] * 2})
    assert apart(figure)
    first, second = (text.get_window_extent() for text in figure.texts[3:5])
    assert second.x0 - first.x1 < 0.1 * first.width, "and no wider"
