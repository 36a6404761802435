"""Images of the recorded run look as their prompts say: the digit by our classifier, strokes as they are measured.

``tests/test_learns.py`` repeats that run.
"""

from nnzoo.recipes._records import Entry


def test_prompts_are_obeyed():
    metrics = {name: values["mean"] for name, values in Entry("ddpm_text").result["metrics"].items()}
    assert metrics["test/class_share"] >= 0.95
    alone = metrics["baseline/digit_alone/attribute_share"]
    assert alone < 0.35, "what chance gives: 0.3 of one attribute, 0.09 of two"
    assert metrics["test/attribute_share"] > 2 * alone
