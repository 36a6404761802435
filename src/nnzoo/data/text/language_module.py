"""Running text for language models, masked or causal: the reference of Python, plays, your own files, instructions."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.facts import fact, held
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS, split_parts
from nnzoo.data.text.blocks import Blocks, CausalBlocks, MaskedBlocks, divided
from nnzoo.data.text.documents import Documents
from nnzoo.data.text.encoding import DocumentEncoder, InstructionEncoder, special_around, transformers_version
from nnzoo.data.text.language_sources import SOURCES, LanguageSource
from nnzoo.data.text.tokenized_module import TokenizedDataModule, warn_of_repeated
from nnzoo.data.text.tokens import TokenTable, cached_tokens, digest
from nnzoo.errors import InputError, check_sizes

if TYPE_CHECKING:
    LanguageName = str
else:
    LanguageName = Literal[tuple(SOURCES)]


class TextDataModule(TokenizedDataModule):
    """Running text in blocks of tokens, for a masked or a causal language model.

    A batch is a dict of integers (B, T), padded on the right: ``input_ids``, ``attention_mask``, and ``labels``, the
    token where it is to be predicted and -100 elsewhere, as transformers' models take them: a causal one shifts them
    itself, so that position t predicts label t + 1. It goes into transformers' models as it is.

    A block never crosses documents: it is a piece of one, of at most ``block_size`` tokens, so no position attends to
    another document and each piece begins at position 0. Short documents make short blocks, and blocks of similar
    length share a batch. Of a causal model each document ends with the end token, which is learned (padding is told by
    the attention mask alone, even if it is the same token), and a further piece of a document begins with the last
    token of the one before, so that each token but a document's first is predicted exactly once. Each piece of a
    masked model stands between the tokenizer's special tokens.

    Masking (arXiv:1810.04805): ``mask_share`` of the tokens, at least one of each block, are to be predicted; of these
    80 % are masked, 10 % are random tokens and 10 % are left. Other ones in each epoch in training; always the same
    ones in validation and test, whatever seed, batch size and devices.

    Instructions: with ``prompt`` and ``answer``, a block is one pair, in the tokenizer's chat template where it has one
    and otherwise ``prompt`` + line break + ``answer``; labels are -100 on the prompt unless ``learn_prompt``.

    Args:
        dataset: stdlib (docstrings and reference topics of the running Python) | stdlib_code (functions of its library,
            without their docstrings) | shakespeare (plays, 1.1 MB) | file,
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
    of_tokens = ("input_ids", "attention_mask", "labels")

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

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        super().check_settings()
        hparams = self.hparams
        check_sizes(block_size=hparams["block_size"])
        if not 0 < hparams["mask_share"] < 1:
            raise InputError(f"mask_share lies between 0 and 1, got {hparams['mask_share']}: set --data.mask_share.")
        if (hparams["prompt"] is None) != (hparams["answer"] is None):
            raise InputError("Instructions have two columns: give both --data.prompt and --data.answer, or neither.")
        if self.instructs and hparams["objective"] == "masked":
            raise InputError("Prompts and answers are for a causal model, as clm or lora: add --data.objective causal.")
        if hparams["learn_prompt"] and not self.instructs:
            raise InputError("learn_prompt does nothing without --data.prompt and --data.answer: leave it out.")
        for name in ("folds", "balanced"):
            if hparams[name]:
                raise InputError(f"{name} is for texts with labels, not for language models: leave it out.")

    @property
    def usual_tokenizer(self) -> str:
        """The kind of tokenizer that is trained if none is given."""
        return "bpe" if self.hparams["objective"] == "causal" else "wordpiece"

    @fact
    def instructs(self) -> bool:
        """Whether the data are prompts with answers."""
        return self.hparams["prompt"] is not None

    @cached_property
    def _loaded(self) -> dict[str, Documents]:
        """The documents of train, and of val and test where the data set brings these."""
        return self.source.load()

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        """Numbers of the documents of each part."""
        official = [part for part, documents in self._loaded.items() for _ in documents.texts]
        return split_parts(torch.zeros(len(official), dtype=torch.int64), official, **self.split_settings())

    @cached_property
    def _all(self) -> list[tuple[str, ...]]:
        return [self._written(document) for documents in self._loaded.values() for document in documents.texts]

    def _written(self, document: tuple[str, ...]) -> tuple[str, ...]:
        return (self.in_template(document[0]), *document[1:])

    def texts(self, part: str) -> list[str]:
        """Documents of a part as the model reads them, prompts with their answers behind them.

        Args:
            part: train | val | test.
        """
        if part == "test" and self.uses_fitted("test"):
            return ["\n".join(self._written(document)) for document in self.source.load_further("test_file").texts]
        return ["\n".join(self._all[row]) for row in self._rows[part].tolist()]

    def num_words(self, part: str) -> int:
        """Words of a part, as white space divides them, for a perplexity that does not depend on the tokenizer."""
        return sum(len(text.split()) for text in self.texts(part))

    def training_texts(self) -> list[str]:
        """The documents of the training part."""
        return self.texts("train")

    @held("set --data.objective to match")
    def objective(self) -> str:
        """Masked or causal."""
        return self.hparams["objective"]

    @fact
    def block_size(self) -> int:
        """The most tokens of a block.

        Raises:
            InputError: If nothing of a text is left beside the special tokens.
        """
        most, special = self.hparams["block_size"], sum(map(len, self._around)) + 1
        if most <= special:
            raise InputError(f"A block needs more than {special} tokens, got {most}: raise --data.block_size.")
        return most

    @fact
    def mask_token_id(self) -> int | None:
        """The token in the place of what is masked; None if there is none."""
        return self.text_tokenizer.mask_token_id

    @fact
    def bos_token_id(self) -> int | None:
        """The token that a text begins with; None if there is none."""
        return self.text_tokenizer.bos_token_id

    @fact
    def eos_token_id(self) -> int | None:
        """The token that ends a text; None if there is none."""
        return self.text_tokenizer.eos_token_id

    @cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        """Special tokens around each piece of a masked model."""
        return special_around(self.text_tokenizer) if self.objective == "masked" else ([], [])

    def _tokens(self, documents: list[tuple[str, ...]]) -> TokenTable:
        causal, whole_words = self.objective == "causal", self.hparams["whole_words"]
        key = ("documents", digest(documents), self.tokenizer_hash, causal, whole_words, transformers_version())
        encoder: Any = DocumentEncoder(self.text_tokenizer, causal, whole_words)
        if self.instructs:
            encoder = InstructionEncoder(self.text_tokenizer)
        return cached_tokens(key, documents, encoder, len(documents))

    def _dataset(self, table: TokenTable, rows: Tensor, part: str) -> CausalBlocks | MaskedBlocks:
        """The blocks of some documents."""
        most, causal = self.block_size - sum(map(len, self._around)), self.objective == "causal"
        if self.instructs:
            blocks = self._pairs(table, rows, part)
        else:
            kept = rows[table.lengths[rows] > int(causal)]
            blocks = divided(kept, table.lengths[kept], most, int(causal))
        if not len(blocks.lengths) and self.instructs:
            raise InputError(
                f"All prompts for {part} fill a block of {self.block_size} tokens, so nothing of an answer is left: "
                "raise --data.block_size."
            )
        if not len(blocks.lengths):
            raise InputError(f"The texts for {part} have no tokens to predict: give longer ones.")
        if causal:
            return CausalBlocks(table, blocks, self.pad_token_id, not self.instructs or self.hparams["learn_prompt"])
        if self.mask_token_id is None:
            raise InputError(
                f"The tokenizer {self.hparams['tokenizer']} has no token for what is masked: set --data.objective "
                "causal, or take one of a masked model."
            )
        known = set(self.text_tokenizer.all_special_ids)
        ordinary = torch.tensor([number for number in range(self.vocab_size) if number not in known])
        special = (self.pad_token_id, self.mask_token_id)
        share, train = self.hparams["mask_share"], part == "train"
        if part == "predict" and bool((table.columns["input_ids"] == self.mask_token_id).any()):
            share = 0.0  # what is to be filled in is masked already
        return MaskedBlocks(table, blocks, self._around, special, ordinary, share, most, train)

    def _pairs(self, table: TokenTable, rows: Tensor, part: str) -> Blocks:
        """Each prompt with its answer as a block; cut, and left out where nothing of the answer would remain."""
        lengths, prompts = table.lengths[rows], table.notes[rows]
        lost, cut = prompts >= self.block_size, lengths > self.block_size
        if cut.any():
            rank_zero_warn(
                f"{int(cut.sum()):,} of {len(rows):,} {part} samples have more than {self.block_size} tokens and are "
                f"cut there; {int(lost.sum()):,} of them are left out, as nothing of their answers would remain: raise "
                "--data.block_size."
            )
        kept = rows[~lost]
        return Blocks(kept, torch.zeros_like(kept), table.lengths[kept].clamp(max=self.block_size))

    def prepare_data(self) -> None:
        """Makes the tokens on one process of each machine; the others then find them in the cache."""
        super().prepare_data()
        if self.fitted is None:
            self._tokens(self._all)

    def setup(self, stage: str | None = None) -> None:
        """Splits the documents and cuts them into blocks; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        for part in ("predict", "test"):
            if self.brings(part) and (part == "predict" or (stage == part and self.uses_fitted(stage))):
                documents = [self._written(document) for document in self.source.load_further(f"{part}_file").texts]
                table = self._tokens(documents)
                self.parts[part] = self._dataset(table, torch.arange(len(documents)), part)
        if self.uses_fitted(stage):
            return
        table = self._tokens(self._all)
        self.parts |= {part: self._dataset(table, self._rows[part], part) for part in PARTS}
        warn_of_repeated(self._all, self._rows)
        blocks = ", ".join(f"{len(self.parts[part]):,} {part}" for part in PARTS)  # type: ignore[arg-type]
        rank_zero_info(
            f"{self.named} ({self.objective}): {blocks} blocks of "
            f"{len(self._all):,} documents, {len(table.columns['input_ids']):,} tokens out of {self.vocab_size:,}"
        )

    def predict_dataloader(self) -> DataLoader[Any]:
        """The blocks of ``predict_file``, or of the test documents."""
        return self._loader("predict" if "predict" in self.parts else "test")

    def predicted_rows(self) -> pd.DataFrame | None:
        """The text of each block to predict."""
        dataset: Any = self.parts["predict" if "predict" in self.parts else "test"]
        documents, starts, lengths = dataset.blocks
        places = dataset.table.starts[documents] + starts
        ids, causal = dataset.table.columns["input_ids"], self.objective == "causal"  # a mask is to be seen
        texts = [ids[start : start + length].tolist() for start, length in zip(places, lengths, strict=True)]
        return pd.DataFrame({"text": self.text_tokenizer.batch_decode(texts, skip_special_tokens=causal)})
