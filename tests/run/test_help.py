import re

import pytest

from nnzoo.run.help import first_sentence, plain, shortened
from support.found import RECIPES, module_name, recipe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A :class:`~lightning.pytorch.trainer.Trainer` or ``None``.", "A Trainer or None."),
        ("See `the guide <https://example.org>`_ first.", "See the guide first."),
        ("Over\n    two   lines.", "Over two lines."),
    ],
)
def test_help_is_plain_text(text, expected):
    assert plain(text) == expected


def test_the_first_sentence_ends_before_the_next_one_and_not_at_an_abbreviation():
    assert first_sentence("One (e.g. 0.1). Two.") == "One (e.g. 0.1)."


def test_lists_of_classes_and_links_are_left_out():
    text = "  --a A  Any. (type: A, default: null, known\n      subclasses: x.A,\n      y.B)\n"
    text += "\nLinked arguments:\n  data.x\n     y\nend\n"
    assert shortened(text) == "  --a A  Any. (type: A, default: null)\n\nend\n"


@pytest.mark.parametrize("name", RECIPES)
def test_the_help_of_a_recipe_begins_with_what_is_its_own(name, capsys):
    with pytest.raises(SystemExit) as end:
        recipe(name).main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    titles = re.findall(r"^(\w+): ", text, re.MULTILINE)
    assert titles[1:4] == ["data", "model", "trainer"]
    assert len(text.splitlines()) < 600
    for markup in ("``", ":class:", "Linked arguments", "known subclasses", "last_checkpoint"):
        assert markup not in text
    assert text.startswith("usage: python ")
    if module_name(name).startswith("nnzoo."):
        assert text.startswith(f"usage: python -m {module_name(name)} ")
