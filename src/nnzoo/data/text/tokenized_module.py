"""What both datamodules of texts share: a tokenizer, its facts, and batches of texts of similar length."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from nnzoo.data.csv_file import check_file
from nnzoo.data.facts import fact, held, view
from nnzoo.data.room import SplitDataModule
from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.data.text.sampler import LengthGroupedSampler
from nnzoo.data.text.tokenizer import (
    TRAINED,
    files_of,
    fingerprint,
    load_tokenizer,
    longest_input,
    tokenizer_of,
    trained_tokenizer,
)
from nnzoo.errors import InputError, check_sizes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Batch = dict[str, Tensor]
SAME_TOKENIZER = "set --data.tokenizer to the one that it was trained with"
FILES = ("train_file", "val_file", "test_file", "predict_file")


class TokenizedDataModule(SplitDataModule):
    """Texts as tokens of one of transformers' tokenizers.

    A batch is a dict of tensors under the names that transformers' models take, see the subclasses. It is padded on the
    right to its longest text, with ``attention_mask`` 0 there. In training a batch holds texts of similar length, see
    :class:`nnzoo.data.text.sampler.LengthGroupedSampler`.

    Args:
        train_file: Your file to train on; it implies ``dataset`` file. CSV or TSV, JSONL (an object a line), or plain
            text.
        val_file: A file to validate on, instead of drawing a part of ``train_file``.
        test_file: A file to test on, instead of drawing a part of ``train_file``.
        predict_file: New texts for ``predict``: plain text, one a line, or a file with the same columns; labels are not
            needed.
        hub: A data set of the Hugging Face hub by its name, such as stanfordnlp/imdb; it implies ``dataset`` hub. Large
            ones are streamed.
        hub_config: Which of its configurations, such as sst2 of nyu-mll/glue.
        most_samples: The most texts to take of each part of a hub's set.
        template: What each text is put into, such as "Is this review positive? {text}".
        tokenizer: A folder, or a name on the hub, with the tokenizer of the model; or wordpiece (as BERT has) or bpe
            (as GPT-2 has), which is trained on the training part.
        vocab_size: Tokens of a tokenizer that is trained.
        group_by_length: Whether a training batch holds texts of similar length, so that little of it is padding.
        root: Folder of the data sets that are downloaded (default: $NNZOO_DATA, else ~/.cache/nnzoo).
        shared: What :class:`nnzoo.data.room.SplitDataModule` takes.

    Raises:
        InputError: If a value is out of range, or a file or a tokenizer cannot be found or used.
    """

    most_tokens: ClassVar[str] = "max_length"
    """The option that limits the tokens of a sample."""

    def __init__(
        self,
        *,
        train_file: str | None = None,
        val_file: str | None = None,
        test_file: str | None = None,
        predict_file: str | None = None,
        hub: str | None = None,
        hub_config: str | None = None,
        most_samples: int | None = None,
        template: str | None = None,
        tokenizer: str = "wordpiece",
        vocab_size: int = 8192,
        group_by_length: bool = True,
        root: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        hparams = self.hparams
        for option in FILES:
            if option == "predict_file" or not (self.brings("test") or self.brings("predict")):
                check_file_or_folder(hparams[option], option)
        check_sizes(vocab_size=hparams["vocab_size"])
        for option in ("most_samples", self.most_tokens):
            if hparams[option] is not None:
                check_sizes(**{option: hparams[option]})
        if hparams["folds"] and hparams["test_file"]:
            raise InputError("--folds draws its test texts from --data.train_file: leave out --data.test_file.")

    def brings(self, stage: str) -> bool:
        """Whether the settings name texts of their own for a stage."""
        return stage in ("test", "predict") and bool(self.hparams[f"{stage}_file"])

    @view
    def text_tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer itself."""
        if "tokenizer_files" in self.__dict__:  # a checkpoint's
            return tokenizer_of(self.tokenizer_files)
        name = self.hparams["tokenizer"]
        return self._trained_tokenizer(name) if name in TRAINED else load_tokenizer(name)

    def _trained_tokenizer(self, kind: str) -> "PreTrainedTokenizerBase":
        """One that is trained on the texts of the training part, in the way they come."""
        return trained_tokenizer(self.training_texts(), kind, self.hparams["vocab_size"])

    @abstractmethod
    def training_texts(self) -> list[str]:
        """The texts of the training part as the model reads them."""

    @fact
    def tokenizer_files(self) -> dict[str, str]:
        """The tokenizer as texts by file name, which a model can keep: see :func:`tokenizer_of`."""
        return files_of(self.text_tokenizer)

    @held(SAME_TOKENIZER)
    def tokenizer_hash(self) -> str:
        """Fingerprint of the tokenizer."""
        return fingerprint(self.text_tokenizer)

    @fact
    def vocab_size(self) -> int:
        """Number of tokens, special ones included."""
        return len(self.text_tokenizer)

    @fact
    def pad_token_id(self) -> int:
        """The token of padding; where the tokenizer has none, 0, which the attention mask hides as well."""
        found = self.text_tokenizer.pad_token_id
        return 0 if found is None else int(found)

    def build_sampler(self, part: str, num_samples: int, batch_size: int, **settings: Any) -> GlobalBatchSampler:
        """Batches of texts of similar length in training; all others in order."""
        if part != "train" or not self.hparams["group_by_length"] or not settings.get("train"):
            return super().build_sampler(part, num_samples, batch_size, **settings)
        return LengthGroupedSampler(self.parts[part].lengths, batch_size, **settings)  # type: ignore[attr-defined]

    def select(self, batch: Batch, rows: slice | Tensor) -> Batch:
        """Some of the batch's texts, no wider than the longest of them."""
        chosen = {name: values[rows] for name, values in batch.items()}
        width = int(chosen["attention_mask"].sum(dim=1).max())
        wide = batch["attention_mask"].shape[1]
        return {name: v[:, :width] if v.dim() == 2 and name in OF_TOKENS else v for name, v in chosen.items()} if wide > width else chosen

    def size_of(self, batch: Batch) -> int:
        """Number of texts."""
        return len(batch["input_ids"])
