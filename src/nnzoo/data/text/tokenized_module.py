"""What both datamodules of texts share: a tokenizer, its facts, and batches of texts of similar length."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from nnzoo.data.csv_file import check_file
from nnzoo.data.facts import fact, held, view
from nnzoo.data.room import SplitDataModule
from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.data.text.sampler import LengthGroupedSampler
from nnzoo.data.text.tokenizer import TRAINED, files_of, fingerprint, load_tokenizer, tokenizer_of, trained_tokenizer
from nnzoo.errors import InputError, check_sizes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Batch = dict[str, Tensor]
SAME_TOKENIZER = "set --data.tokenizer to the one that it was trained with"
FILES = ("train_file", "val_file", "test_file", "predict_file")
MOST_REPEATED = 0.01
"""Share of texts to validate or test on that may be those of training too, as short ones are, without a warning."""
PLACE = re.compile(r"\{(text_pair|text)\}")


class TokenizedDataModule(SplitDataModule):
    """Texts as tokens of one of transformers' tokenizers.

    A batch is a dict of tensors under the names that transformers' models take, see the subclasses. It is padded on the
    right to its longest text, with ``attention_mask`` 0 there. In training a batch holds texts of similar length, see
    :class:`nnzoo.data.text.sampler.LengthGroupedSampler`.

    Texts are tokenised once and kept under :func:`nnzoo.data.base.cache_root`, by a hash of the texts, the tokenizer
    and the options; in memory they take 4 bytes a token.

    Args:
        train_file: Your file to train on; it implies ``dataset`` file. CSV or TSV, JSONL (an object a line), or plain
            text.
        val_file: A file to validate on, instead of drawing a part of ``train_file``.
        test_file: A file to test on, instead of drawing a part of ``train_file``.
        predict_file: New texts for ``predict``: plain text, one a line, or a file with the same columns; labels are not
            needed.
        hub: A data set of the Hugging Face hub by its name, such as stanfordnlp/imdb; it implies ``dataset`` hub. It is
            streamed if it is larger than a gigabyte.
        hub_config: Which of its configurations, such as sst2 of nyu-mll/glue.
        most_samples: The most texts to take of each part of a hub's set.
        template: What each text is put into, such as "Is this review positive? {text}".
        tokenizer: A folder, or a name on the hub, with the tokenizer of the model; or wordpiece (as BERT has) or bpe
            (as GPT-2 has), which is trained on the training part. If not given, that of the model's ``pretrained`` on
            the command line, where it has one; otherwise one is trained.
        vocab_size: Tokens of a tokenizer that is trained.
        group_by_length: Whether a training batch holds texts of similar length, so that little of it is padding.
        root: Folder of the data sets that are downloaded (default: $NNZOO_DATA, else ~/.cache/nnzoo).
        shared: What :class:`nnzoo.data.room.SplitDataModule` takes.

    Raises:
        InputError: If a value is out of range, or a file or a tokenizer cannot be found or used.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {"vocab_size": ("tokenizer", [*TRAINED, None])}
    follows: ClassVar[Mapping[str, str]] = {"tokenizer": "pretrained"}
    """Options that take the value of the model's where they are not given."""
    of_tokens: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask", "token_type_ids")
    """What a batch has of each token."""

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
        tokenizer: str | None = None,
        vocab_size: int = 8192,
        group_by_length: bool = True,
        root: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        hparams = self.hparams
        # A trained model does without the files to train on; otherwise these are read before the model is built.
        brought = self.brings("test") or self.brings("predict")
        for option in FILES[2:] if brought else FILES:
            if hparams[option] is None or not Path(hparams[option]).is_dir():
                check_file(hparams[option], option)
        check_sizes(vocab_size=hparams["vocab_size"])
        if hparams["most_samples"] is not None:
            check_sizes(most_samples=hparams["most_samples"])
        if hparams["folds"] and hparams["test_file"]:
            raise InputError("--folds draws its test texts from --data.train_file: leave out --data.test_file.")
        if hparams["template"] is not None and "{text}" not in hparams["template"]:
            raise InputError(
                f"--data.template {hparams['template']!r} has no place for the text: write {{text}} where it is to be."
            )

    @property
    def named(self) -> str:
        """What the data are called."""
        return self.hparams["train_file"] or self.hparams["hub"] or self.dataset

    def brings(self, stage: str) -> bool:
        """Whether the settings name texts of their own for a stage."""
        return any(bool(self.hparams[f"{own}_file"]) for own in ("test", "predict") if own == stage)

    def in_template(self, text: str, pair: str = "") -> str:
        """A text as the model reads it."""
        template = self.hparams["template"]
        if template is None:
            return text
        return PLACE.sub(lambda place: pair if place[1] == "text_pair" else text, template)

    @fact
    def template(self) -> str | None:
        """What each text is put into; None if nothing."""
        return self.hparams["template"]

    @property
    def usual_tokenizer(self) -> str:
        """The kind of tokenizer that is trained if none is given."""
        return "wordpiece"

    @view
    def text_tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer itself."""
        if "tokenizer_files" in self.__dict__:  # a checkpoint's
            return tokenizer_of(self.tokenizer_files)
        name = self.hparams["tokenizer"] or self.usual_tokenizer
        if name in TRAINED:
            return trained_tokenizer(self.training_texts(), name, self.hparams["vocab_size"])
        return load_tokenizer(name)

    @abstractmethod
    def training_texts(self) -> list[str]:
        """The texts of the training part as the model reads them."""

    @fact
    def tokenizer_files(self) -> dict[str, str]:
        """The tokenizer as texts by file name: :func:`nnzoo.data.text.tokenizer.tokenizer_of` makes one of them."""
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
        if not (settings.get("train") and self.hparams["group_by_length"]):
            return super().build_sampler(part, num_samples, batch_size, **settings)
        return LengthGroupedSampler(self.parts[part].lengths, batch_size, **settings)  # type: ignore[attr-defined]

    def select(self, batch: Batch, rows: slice | Tensor) -> Batch:
        """Some of the batch's texts, padded to the longest of them."""
        width = int(batch["attention_mask"][rows].sum(dim=1).max())
        return {
            name: values[rows][:, :width] if name in self.of_tokens else values[rows] for name, values in batch.items()
        }

    def size_of(self, batch: Batch) -> int:
        """Number of texts."""
        return len(batch["input_ids"])


def warn_of_repeated(texts: Sequence[tuple[str, ...]], rows: Mapping[str, Tensor]) -> None:
    """Warns if texts to validate or to test on are among those of training: they tell nothing of new ones.

    Args:
        texts: All texts, or pairs of them.
        rows: Numbers of the texts of each part.
    """
    known = {texts[row] for row in rows["train"].tolist()}
    for part in ("val", "test"):
        again = sum(texts[row] in known for row in rows[part].tolist())
        if again > MOST_REPEATED * len(rows[part]):
            rank_zero_warn(
                f"{again:,} of the {len(rows[part]):,} {part} texts are among those of training too, so their scores "
                "say little of new texts: remove what is there twice."
            )
