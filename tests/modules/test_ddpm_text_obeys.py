"""Images look as their prompts say: the digit by our classifier, stroke and tilt as the captions measured them."""

import pytest

from support.found import recipe

FLAGS = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--figures.draw", "false"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*")
def test_prompts_are_obeyed(in_tmp):
    metrics = recipe("ddpm_text").main([*FLAGS, "--model.max_nll_evaluations", "1000"])
    assert metrics["test/class_share"] >= 0.95
    alone = metrics["baseline/digit_alone/attribute_share"]
    assert alone < 0.35, "what chance gives: 0.3 of one attribute, 0.09 of two"
    assert metrics["test/attribute_share"] > 2 * alone
