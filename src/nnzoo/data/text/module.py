"""Texts with labels: docstrings by their subject, SST-2, your own files, or a data set of the Hugging Face hub."""

import typing
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.facts import fact, held
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS, split_parts, warn_of_absent_classes, warn_of_rare_classes
from nnzoo.data.text.dataset import TextDataset
from nnzoo.data.text.sources import SOURCES, Samples, TextSource
from nnzoo.data.text.target import TextTask
from nnzoo.data.text.tokenized_module import TokenizedDataModule
from nnzoo.errors import InputError

if TYPE_CHECKING:
    TextName = str
else:
    TextName = Literal[tuple(SOURCES)]


class TextClassificationDataModule(TokenizedDataModule):
    """Texts, or pairs of texts, each with a class, several labels, or a number.

    A batch is a dict: ``input_ids``, ``attention_mask`` and, where the tokenizer makes them, ``token_type_ids``
    (B, T), integers, padded on the right to the longest text of the batch; and ``labels``: class numbers (B,) int64,
    numbers (B,) float32 for regression, or zeros and ones (B, K) float32 where a text may have several labels. It goes
    into transformers' models as it is, once ``labels`` is taken out.

    Longer texts are cut to ``max_length`` tokens, which is counted and said; of a pair the longer one is cut first.

    A CSV or TSV file has a header if ``text`` or ``target`` names one of its columns, or if its first line has usual
    names (text, sentence, review, ... and label, target, class, ...); otherwise its first column is the text and its
    second the label. Quotation marks of a TSV file are text unless all are closed as CSV has them.

    Args:
        dataset: stdlib (docstrings and reference topics of the running Python, by their area) | sst2 (sentences of film
            reviews, negative and positive) | file, which giving ``train_file`` implies | hub.
        text: The column of texts.
        text_pair: A column with a second text for each, as of a premise and a hypothesis.
        target: The column of labels or numbers; or several columns of 0 and 1, one for each label.
        separator: What stands between the labels of a text that may have several, in one column.
        task: auto | classification | multilabel | regression. Auto takes several labels for several columns or a
            ``separator``, numbers as :func:`nnzoo.data.tables.target.task_of` does, and classes otherwise.
        max_length: Tokens of the longest text, special ones included: of the tokenizer's model if not given, or 512.
        shared: What :class:`nnzoo.data.text.tokenized_module.TokenizedDataModule` takes.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or used.
    """

    sources: ClassVar[Mapping[str, type[TextSource]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = options_of(SOURCES)

    def __init__(
        self,
        *,
        dataset: TextName = "stdlib",
        text: str | None = None,
        text_pair: str | None = None,
        target: str | list[str] | None = None,
        separator: str | None = None,
        task: Literal["auto", "classification", "multilabel", "regression"] = "auto",
        max_length: int | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    @fact
    def task(self) -> TextTask:
        """Classification, multilabel or regression."""
        raise NotImplementedError

    @held("use data with the same classes; what has no class yet is given by --data.predict_file")
    def classes(self) -> list[str]:
        """Names of the classes, or of the labels, in the order of their numbers; empty for regression."""
        raise NotImplementedError

    @held("set --data.max_length to match")
    def max_length(self) -> int:
        """Tokens of the longest text, special ones included."""
        raise NotImplementedError

    @fact
    def target_offset(self) -> float:
        """What is subtracted from the targets in batches: 0."""
        return 0.0

    @fact
    def target_mean(self) -> float:
        """Mean of the training targets; 0 if they are no numbers."""
        raise NotImplementedError

    @fact
    def target_std(self) -> float:
        """Standard deviation of the training targets; 1 if they are no numbers."""
        raise NotImplementedError

    @property
    def class_weights(self) -> Tensor:
        """n / (K n_c) per class of the training part; for several labels (n - n_c) / n_c, as BCE's ``pos_weight``."""
        raise NotImplementedError

    def texts(self, part: str) -> tuple[list[str], Tensor]:
        """Texts of a part as the model reads them, pairs joined by a line break, and their labels."""
        raise NotImplementedError

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> dict[str, Tensor]:
        """A batch without labels of raw texts, as training prepares them (template, tokenizer, ``max_length``)."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Splits the texts and makes tokens of them, from the cache if they are there; a second call changes nothing."""

    def predict_dataloader(self) -> DataLoader[Any]:
        """The texts of ``predict_file``, or the test texts; labels of new texts are zeros."""
        raise NotImplementedError

    def predicted_rows(self) -> pd.DataFrame | None:
        """The texts to predict as they stand in their file, and their labels where these are known."""
        raise NotImplementedError
