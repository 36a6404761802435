"""Texts to tokens, many at once."""

from collections.abc import Sequence
from importlib.metadata import version
from itertools import chain
from typing import Any

from nnzoo.data.text.tokens import Chunk
from nnzoo.errors import InputError

SOME_ANSWER = "\ue000"
"""Stands for any answer: a letter for private use, which no template has."""


def transformers_version() -> tuple[str, str]:
    """What tokens may depend on besides texts and tokenizer."""
    return version("transformers"), version("tokenizers")


class TextEncoder:
    """Texts, or pairs of them, with the tokenizer's special tokens, cut to a length.

    Args:
        tokenizer: Of transformers.
        max_length: Tokens of the longest text; of a pair the longer one is cut first.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length

    def __call__(self, texts: Sequence[tuple[str, ...]]) -> Chunk:
        """The tokens of some texts; ``cut`` counts those that are longer."""
        parts = [list(part) for part in zip(*texts, strict=True)]
        found = self.tokenizer(*parts, truncation="longest_first", max_length=self.max_length)
        names = [name for name in ("input_ids", "token_type_ids") if name in found]
        columns = {name: list(chain.from_iterable(found[name])) for name in names}
        cut = sum(bool(encoding.overflowing) for encoding in found.encodings)
        return Chunk(columns, [len(tokens) for tokens in found["input_ids"]], {"cut": cut})


def special_around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that a tokenizer puts before and behind a text."""
    both = tokenizer("a")["input_ids"]
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = next(place for place in range(len(both) + 1) if both[place : place + len(inner)] == inner)
    return both[:start], both[start + len(inner) :]


class DocumentEncoder:
    """Documents without special tokens; of a causal model with those before a text, and the end token behind it.

    Args:
        tokenizer: Of transformers.
        causal: Whether they are for a causal model.
        whole_words: Whether to keep where words begin.
    """

    def __init__(self, tokenizer: Any, causal: bool, whole_words: bool = False) -> None:
        self.tokenizer, self.whole_words = tokenizer, whole_words
        self.before = special_around(tokenizer)[0] if causal else []
        self.end = [tokenizer.eos_token_id] if causal and tokenizer.eos_token_id is not None else []

    def __call__(self, texts: Sequence[tuple[str, ...]]) -> Chunk:
        """The tokens of some documents."""
        found = self.tokenizer([text for (text,) in texts], add_special_tokens=False, verbose=False)
        tokens = [[*self.before, *ids, *self.end] for ids in found["input_ids"]]
        columns = {"input_ids": list(chain.from_iterable(tokens))}
        if self.whole_words:
            words = (encoding.word_ids for encoding in found.encodings)
            columns["word_starts"] = [
                int(place == 0 or number is None or number != ids[place - 1])
                for ids in words for place, number in enumerate(ids)
            ]  # fmt: skip
        return Chunk(columns, [len(ids) for ids in tokens])


class InstructionEncoder:
    """Prompts with their answers, in the tokenizer's chat template where it has one, and the length of each prompt.

    Prompt and answer are tokenised apart, as in generation, where the answer follows the tokens of the prompt.

    Args:
        tokenizer: Of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.plain = DocumentEncoder(tokenizer, causal=True)

    def written(self, prompt: str, answer: str) -> tuple[str, str]:
        """Prompt and answer as the model reads them.

        Raises:
            InputError: If the chat template does not write the prompt in the same way whatever the answer is.
        """
        if not self.tokenizer.chat_template:
            return f"{prompt}\n", answer
        opening, whole = self.opening(prompt), self._dialogue(prompt, answer)
        if not opening or not whole.startswith(opening):
            raise InputError(
                f"The tokenizer's chat template does not write the answer {answer[:40]!r} behind its prompt: take a "
                "tokenizer with another template, or without one."
            )
        return opening, whole[len(opening) :]

    def opening(self, prompt: str) -> str:
        """What stands before the answer to a prompt; empty if the chat template writes no answers."""
        if not self.tokenizer.chat_template:
            return f"{prompt}\n"
        asked = [{"role": "user", "content": prompt}]
        start = str(self.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))
        whole = self._dialogue(prompt, SOME_ANSWER)
        # Some templates open an answer in another way than they write one, say with a thought.
        return start if whole.startswith(start) else whole[: max(0, whole.find(SOME_ANSWER))]

    def _dialogue(self, prompt: str, answer: str) -> str:
        said = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        return str(self.tokenizer.apply_chat_template(said, tokenize=False))

    def __call__(self, pairs: Sequence[tuple[str, ...]]) -> Chunk:
        """The tokens of some pairs; ``notes`` are those of the prompts."""
        written = [self.written(*pair) for pair in pairs]
        prompts, answers = (self.tokenizer(list(part), add_special_tokens=False, verbose=False)["input_ids"]
                            for part in zip(*written, strict=True))  # fmt: skip
        chat = bool(self.tokenizer.chat_template)
        before, end = ([], []) if chat else (self.plain.before, self.plain.end)
        prompts = [[*before, *ids] for ids in prompts]
        tokens = [[*prompt, *answer, *end] for prompt, answer in zip(prompts, answers, strict=True)]
        columns = {"input_ids": list(chain.from_iterable(tokens))}
        return Chunk(columns, [len(ids) for ids in tokens], notes=[len(ids) for ids in prompts])
