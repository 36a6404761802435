"""Texts to tokens, many at once."""

from collections.abc import Sequence
from importlib.metadata import version
from itertools import chain
from typing import Any

from nnzoo.data.text.tokens import Chunk


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
