"""Running text for language models, masked or causal: the reference of Python, plays, your own files, instructions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.facts import fact, held
from nnzoo.data.sources import options_of
from nnzoo.data.text.language_sources import SOURCES, LanguageSource
from nnzoo.data.text.tokenized_module import TokenizedDataModule

if TYPE_CHECKING:
    LanguageName = str
else:
    LanguageName = Literal[tuple(SOURCES)]


class TextDataModule(TokenizedDataModule):
    """Running text in blocks of tokens, for a masked or a causal language model.

    A batch is a dict: ``input_ids``, ``attention_mask`` and, where the tokenizer makes them, ``token_type_ids``
    (B, T), integers, padded on the right; and ``labels`` (B, T), the token where it is to be predicted and -100
    elsewhere, as transformers' models take them: a causal one shifts them itself, so that position t predicts label
    t + 1.

    A block never crosses documents: it is a piece of one, of at most ``block_size`` tokens, so no position attends to
    another document and each piece begins at position 0. Short documents make short blocks, and blocks of similar
    length share a batch. Of a causal model each document ends with the end token, which is learned (padding is told by
    the attention mask alone, even if it is the same token), and a further piece of a document begins with the last
    token of the one before, so that each token but a document's first is predicted exactly once. Each piece of a
    masked model is wrapped in the tokenizer's special tokens.

    Masking (arXiv:1810.04805): ``mask_share`` of the tokens, at least one of each block, are to be predicted; of these
    80 % are masked, 10 % are random tokens and 10 % are left. Other ones in each epoch in training; always the same ones
    in validation and test, whatever seed, batch size and devices.

    Instructions: with ``prompt`` and ``answer``, a block is one pair, in the tokenizer's chat template where it has one
    and otherwise ``prompt`` + line break + ``answer``; labels are -100 on the prompt unless ``learn_prompt``.

    Args:
        dataset: stdlib (docstrings and reference topics of the running Python) | shakespeare (plays, 1.1 MB) | file,
            which giving ``train_file`` implies: also a folder of .txt files | hub.
        objective: masked | causal.
        block_size: The most tokens of a block, special ones included.
        text: The column of texts, of a file with columns.
        prompt: The column of prompts, of instruction data.
        answer: The column of answers to them.
        learn_prompt: Whether the prompt's tokens are to be predicted too.
        document: What of plain text is a document: file | paragraph (between blank lines) | line.
        mask_share: Share of tokens that a masked model predicts.
        whole_words: Mask all tokens of a word together.
        shared: What :class:`nnzoo.data.text.tokenized_module.TokenizedDataModule` takes.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or used.
    """

    sources: ClassVar[Mapping[str, type[LanguageSource]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = {
        **options_of(SOURCES),
        "mask_share": ("objective", ["masked"]),
        "whole_words": ("objective", ["masked"]),
    }
    most_tokens = "block_size"

    def __init__(
        self,
        *,
        dataset: LanguageName = "stdlib",
        objective: Literal["masked", "causal"] = "masked",
        block_size: int = 128,
        text: str | None = None,
        prompt: str | None = None,
        answer: str | None = None,
        learn_prompt: bool = False,
        document: Literal["file", "paragraph", "line"] = "file",
        mask_share: float = 0.15,
        whole_words: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    @held("set --data.objective to match")
    def objective(self) -> str:
        """Masked or causal."""
        return self.hparams["objective"]

    @fact
    def block_size(self) -> int:
        """The most tokens of a block."""
        return self.hparams["block_size"]

    @fact
    def bos_token_id(self) -> int | None:
        """The token that a text begins with; None if there is none."""
        return self.text_tokenizer.bos_token_id

    @fact
    def eos_token_id(self) -> int | None:
        """The token that ends a text; None if there is none."""
        return self.text_tokenizer.eos_token_id

    def texts(self, part: str) -> list[str]:
        """Documents of a part."""
        raise NotImplementedError

    def num_words(self, part: str) -> int:
        """Words of a part, as white space divides them, for a perplexity that does not depend on the tokenizer."""
        raise NotImplementedError
