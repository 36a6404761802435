"""Words of captions and prompts."""

import pytest
import torch

from nnzoo import InputError
from nnzoo.tokens import Words, build_vocabulary, words_of

VOCABULARY = build_vocabulary([words_of("A bold seven, tilted to the left"), words_of("a thin dog's 3")])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Seven, BOLD.", ["seven", "bold"]),
        ("a red-hat_2  (new)\n", ["a", "red", "hat", "2", "new"]),
        ("the dog's and the dog\u2019s", ["the", "dog's", "and", "the", "dog's"]),
        ("Cafe\u0301 GRO\u00dfE", ["caf\u00e9", "grosse"]),
        ("'quoted' \u2014 !", ["quoted"]),
        ("\u9ed2\u3044\u732b \U0001f600", ["\u9ed2\u3044\u732b"]),
    ],
)
def test_words_are_letters_and_digits_in_lower_case(text, words):
    assert words_of(text) == words
    assert words_of(" ".join(words)) == words


def test_captions_are_a_start_and_their_known_words():
    words = Words(VOCABULARY, 5)
    tokens = words.captions(["thin seven", "a huge seven", "", "a bold seven tilted to"])
    read = [[VOCABULARY[number] for number in row] for row in tokens.tolist()]
    assert read == [
        ["<sos>", "thin", "seven", "<pad>", "<pad>"],
        ["<sos>", "a", "seven", "<pad>", "<pad>"],
        ["<sos>", "<pad>", "<pad>", "<pad>", "<pad>"],
        ["<sos>", "a", "bold", "seven", "tilted"],
    ]
    assert torch.equal(words.prompts(["Thin; SEVEN!"]), tokens[:1])


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("a purple sevn", r"knows no 'purple' and no 'sevn'.*'a purple sevn' with words such as seven, "),
        ("", "prompt '' has no words: say what to draw with some of 3, a, bold"),
        ("!?", "has no words"),
        ("a bold seven tilted left", "has 5 words, more than the 4 of the longest caption"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_refused(prompt, says):
    with pytest.raises(InputError, match=says):
        Words(VOCABULARY, 5).prompts(["a seven", prompt])


def test_a_vocabulary_has_special_tokens_and_words():
    for wrong in (["a", "b"], VOCABULARY[:4]):
        with pytest.raises(InputError, match="goes on with the words"):
            Words(wrong, 5)
