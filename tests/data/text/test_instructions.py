"""Instructions, prompts with their answers: what is learned, and how they are put."""

import json

import pytest
import torch

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.text.encoding import InstructionEncoder
from nnzoo.data.text.language_module import TextDataModule
from nnzoo.data.text.tokenizer import load_tokenizer
from nnzoo.errors import InputError
from nnzoo.modules.writing import prompt_tokens
from support.text_files import tsv, write

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
CHAT = TURNS + "{% if add_generation_prompt %}<assistant>{% endif %}"


def ready(**settings):
    made = TextDataModule(**{"batch_size": 8, "block_size": 16, **settings})
    made.setup()
    return made


def whole(dataset):
    """All samples of a dataset as one batch."""
    return dataset.__getitems__(BatchIndex(torch.arange(len(dataset)), 0, slice(None), len(dataset)))


@pytest.mark.parametrize("chat", [False, True])
def test_the_loss_is_on_the_answer_only(tmp_path, byte_pairs, chat):
    tokenizer = load_tokenizer(byte_pairs)
    if chat:
        tokenizer.chat_template = CHAT
        tokenizer.save_pretrained(tmp_path / "chat")
        byte_pairs = str(tmp_path / "chat")
    rows = [{"q": f"what is {i}", "a": f"it is {i + 1}"} for i in range(30)]
    path = write(tmp_path / "a.jsonl", [json.dumps(row) for row in rows])
    settings = {"train_file": path, "prompt": "q", "answer": "a", "objective": "causal", "tokenizer": byte_pairs}
    made = ready(**settings, block_size=64)
    batch = whole(made.parts["test"])
    for ids, labels, mask, text in zip(
        *(batch[name] for name in ("input_ids", "labels", "attention_mask")), made.texts("test"), strict=True
    ):
        question, answer = text.split("\n")
        learnt = tokenizer.decode(labels[labels != -100])
        assert learnt == (f"{answer}</>" if chat else f"{answer}<|endoftext|>")
        before = f"<user>{question}</><assistant>" if chat else f"{question}\n"
        assert tokenizer.decode(ids[mask.bool()]) == before + learnt
        assert torch.equal(labels[labels != -100], ids[labels != -100])
    everything = whole(ready(**settings, block_size=64, learn_prompt=True).parts["test"])
    assert torch.equal(everything["labels"] != -100, everything["attention_mask"].bool())


OPENED = CHAT + "{% if add_generation_prompt %}<thought>{% endif %}"
"""A template that opens an answer in another way than it writes one."""


@pytest.mark.parametrize("template", [None, CHAT, OPENED])
def test_a_prompt_is_put_in_the_same_way_whatever_the_answer(byte_pairs, template):
    """Some letters of the answers are in the template too."""
    tokenizer = load_tokenizer(byte_pairs)
    tokenizer.chat_template = template
    encoder = InstructionEncoder(tokenizer)
    opening = encoder.opening("so?")
    assert opening == ("<user>so?</><assistant>" if template else "so?\n")
    for answer in ("yes", "e", "/", "<assistant>"):
        assert encoder.written("so?", answer) == (opening, f"{answer}</>" if template else answer)
    assert tokenizer.decode(prompt_tokens(tokenizer, ["so?"], instructs=True)[0]) == opening


def test_a_chat_template_that_changes_answers_is_refused(byte_pairs):
    tokenizer = load_tokenizer(byte_pairs)
    tokenizer.chat_template = OPENED.replace("m.content", "'*'")
    with pytest.raises(InputError, match="does not write the answer 'yes' behind its prompt"):
        InstructionEncoder(tokenizer).written("so?", "yes")


def test_prompts_that_all_fill_a_block_are_a_sentence(tmp_path, byte_pairs):
    path = tsv(tmp_path / "a.tsv", [("long " * 20, "yes")] * 9, ("prompt", "answer"))
    settings = {"objective": "causal", "tokenizer": byte_pairs, "block_size": 8, "prompt": "prompt", "answer": "answer"}
    with (
        pytest.warns(UserWarning, match="are left out, as nothing of their answers"),
        pytest.raises(InputError, match=r"All prompts for train fill a block of 8 tokens, .* raise --data.block_size"),
    ):
        ready(train_file=path, **settings)


def test_answers_that_do_not_fit_are_cut_and_counted(tmp_path, byte_pairs):
    rows = [("a short one", "yes"), ("a short one " * 30, "no"), ("b", "very " * 40)] * 6
    path = tsv(tmp_path / "a.tsv", rows, ("prompt", "answer"))
    with pytest.warns(
        UserWarning, match=r"of \d+ train samples have more than 32 tokens and are cut there; \d+ of them"
    ):
        made = ready(
            train_file=path, prompt="prompt", answer="answer", objective="causal", tokenizer=byte_pairs, block_size=32
        )
    for part in ("train", "val", "test"):
        labels = whole(made.parts[part])["labels"]
        assert (labels != -100).any(dim=1).all()
        assert labels.shape[1] <= 32
    assert sum(len(made.parts[part]) for part in ("train", "val", "test")) == 12
