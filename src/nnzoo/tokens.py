"""Strings as numbers, character by character or word by word."""

import difflib
import re
import unicodedata
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


def build_vocabulary(texts: Iterable[Iterable[str]]) -> list[str]:
    """The special tokens, then every character of the texts, or every word of lists of words, sorted."""
    return [*SPECIAL, *sorted(set[str]().union(*texts))]


def check_vocabulary(vocabulary: Sequence[str], of: str) -> None:
    """Raises InputError if a vocabulary does not start with the special tokens or has nothing else."""
    if list(vocabulary[: len(SPECIAL)]) != SPECIAL or len(vocabulary) == len(SPECIAL):
        raise InputError(f"A vocabulary starts with {', '.join(SPECIAL)} and goes on with the {of}.")


class Characters:
    """Encodes strings as tokens of a vocabulary, and back.

    Args:
        vocabulary: The tokens by number: ``<pad>``, ``<sos>``, ``<eos>``, ``<unk>``, then single characters.

    Raises:
        InputError: If the vocabulary does not start like that or has no characters.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        check_vocabulary(vocabulary, "characters")
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


def words_of(text: str) -> list[str]:
    """The words of a text in lower case: letters and digits, with apostrophes inside; what stands between is left out.

    Texts that look the same are the same, however their letters are encoded.
    """
    plain = unicodedata.normalize("NFKC", text.casefold()).replace("\u2019", "'")
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)


class Words:
    """Encodes captions as words of a vocabulary: ``<sos>``, the words, padding. ``<sos>`` alone is no caption.

    Args:
        vocabulary: The tokens by number: ``<pad>``, ``<sos>``, ``<eos>``, ``<unk>``, then words.
        length: Tokens of a caption, N, at most: the start and its words.

    Raises:
        InputError: If the vocabulary does not start like that or has no words.
    """

    def __init__(self, vocabulary: Sequence[str], length: int) -> None:
        check_vocabulary(vocabulary, "words of the captions")
        self.length, self.known = length, list(vocabulary[len(SPECIAL) :])
        self._numbers = {word: number for number, word in enumerate(vocabulary) if number > UNK}

    def captions(self, texts: Sequence[str]) -> Tensor:
        """Tokens (B, N) of captions; words that are not known, and those beyond the length, are left out."""
        rows = [[SOS, *(self._numbers[word] for word in words_of(text) if word in self._numbers)] for text in texts]
        tokens = torch.full((len(rows), self.length), PAD)
        for row, numbers in zip(tokens, rows, strict=True):
            row[: len(numbers)] = torch.tensor(numbers[: self.length])
        return tokens

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not known."""
        return [word for word in dict.fromkeys(words_of(text)) if word not in self._numbers]

    def prompts(self, texts: Sequence[str]) -> Tensor:
        """Tokens (B, N) of prompts, all of whose words count.

        Raises:
            InputError: If a prompt has no words, too many, or unknown ones.
        """
        for text in dict.fromkeys(texts):
            self._check_prompt(text)
        return self.captions(texts)

    def _check_prompt(self, text: str) -> None:
        words, unknown = words_of(text), self.unknown(text)
        if not words:
            raise InputError(f"The prompt {text!r} has no words: say what to draw with some of {self._shown([])}.")
        if unknown:
            raise InputError(
                f"The model knows no {' and no '.join(map(repr, unknown[:5]))}, which its captions did not have: write "
                f"the prompt {_short(text)!r} with words such as {self._shown(unknown)}."
            )
        if len(words) >= self.length:
            raise InputError(
                f"The prompt {_short(text)!r} has {len(words)} words, more than the {self.length - 1} of the longest "
                "caption that the model was trained on: shorten it."
            )

    def _shown(self, unknown: Sequence[str], most: int = 12) -> str:
        """Some known words, those first that resemble unknown ones."""
        near = [word for one in unknown for word in difflib.get_close_matches(one, self.known, n=2)]
        shown = list(dict.fromkeys([*near, *self.known]))[:most]
        return ", ".join(shown) + (f" ({len(self.known)} in all)" if len(self.known) > most else "")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def padded(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Sequences of numbers as one tensor (N, longest), padded, and their lengths (N,)."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.full((len(sequences), int(lengths.max())), PAD)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return tokens, lengths
