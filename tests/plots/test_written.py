from nnzoo.plots.written import LINES, text_table, wrapped


def test_texts_stand_in_their_columns_and_dollars_are_dollars():
    columns = {"before": ["cost $1$", "two"], "after": ["a\nb", "x" * 30]}
    figure = text_table(columns, "title", width=10)
    figure.canvas.draw()
    texts = {text.get_text(): text for text in figure.texts}
    assert list(texts) == [
        "title",
        "before",
        "after",
        "cost $1$",
        "a\nb",
        "two",
        "x" * 10 + "\n" + "x" * 10 + "\n" + "x" * 10,
    ]
    left, right = (texts[name].get_position()[0] for name in columns)
    assert left < right
    assert texts["cost $1$"].get_position()[0] == texts["two"].get_position()[0] == left
    assert texts["a\nb"].get_position()[0] == right
    heights = [texts[name].get_position()[1] for name in ("title", "before", "cost $1$", "two")]
    assert heights == sorted(heights, reverse=True)


def test_long_and_strange_texts_are_cut_and_made_visible():
    assert wrapped("a\n" * 20, 10).count("\n") == LINES - 1
    assert wrapped("a\n" * 20, 10).endswith("...")
    assert wrapped("a\x00b\tc", 10) == "a□b c"
    assert wrapped("", 10) == ""
