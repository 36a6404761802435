"""Strings as numbers, character by character."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from nnzoo.errors import InputError

PAD, SOS, EOS, UNK = range(4)
"""Numbers of the tokens that every vocabulary starts with: padding, start, end, unknown."""

IGNORED = -100
"""Target of a step after a sequence's end; PyTorch's ``ignore_index``."""

SPECIAL = ["<pad>", "<sos>", "<eos>", "<unk>"]
"""What every vocabulary starts with: padding, start, end, and any character that it lacks."""


def build_vocabulary(texts: Iterable[str]) -> list[str]:
    """The special tokens, then every character of the texts, sorted."""
    return [*SPECIAL, *sorted(set().union(*texts))]


class Characters:
    """Encodes strings as tokens of a vocabulary, and back.

    Args:
        vocabulary: The tokens by number: ``<pad>``, ``<sos>``, ``<eos>``, ``<unk>``, then single characters.

    Raises:
        InputError: If the vocabulary does not start like that or has no characters.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        if list(vocabulary[: len(SPECIAL)]) != SPECIAL or len(vocabulary) == len(SPECIAL):
            raise InputError(f"A vocabulary starts with {', '.join(SPECIAL)} and goes on with the characters.")
        self.vocabulary = list(vocabulary)
        self._numbers = {character: number for number, character in enumerate(vocabulary) if number > UNK}

    def tokens(self, text: str) -> list[int]:
        """The number of each character; that of ``<unk>`` where the vocabulary lacks it."""
        return [self._numbers.get(character, UNK) for character in text]

    def sources(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens (N, S), padded to the longest text, and lengths (N,).

        Raises:
            InputError: If there are no texts, or one is empty.
        """
        if not texts or not all(texts):
            raise InputError("There is an empty string: an encoder needs a character at least.")
        return padded([self.tokens(text) for text in texts])

    def targets(self, texts: Sequence[str]) -> Tensor:
        """Tokens (N, T) from ``<sos>`` to ``<eos>``, then padding."""
        return padded([[SOS, *self.tokens(text), EOS] for text in texts])[0]

    def text(self, tokens: Tensor) -> str:
        """The string of tokens (T,) up to the first end; an unknown character reads as U+FFFD."""
        characters = []
        for token in tokens.tolist():
            if token == EOS:
                break
            if token not in (PAD, SOS):
                characters.append("\ufffd" if token == UNK else self.vocabulary[token])
        return "".join(characters)

    def texts(self, tokens: Tensor) -> list[str]:
        """The strings of tokens (N, T)."""
        return [self.text(row) for row in tokens]


def padded(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Sequences of numbers as one tensor (N, longest), padded, and their lengths (N,)."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.full((len(sequences), int(lengths.max())), PAD)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return tokens, lengths
