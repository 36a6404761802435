"""Texts with labels: docstrings by their subject, SST-2, your own files, or a data set of the Hugging Face hub."""

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
from nnzoo.data.splits import PARTS, class_weights, split_parts, warn_of_absent_classes, warn_of_rare_classes
from nnzoo.data.tables.target import check_numbers
from nnzoo.data.text.dataset import TextDataset
from nnzoo.data.text.encoding import TextEncoder, transformers_version
from nnzoo.data.text.rows import TextRows
from nnzoo.data.text.sources import SOURCES, TextSource
from nnzoo.data.text.target import Target, TextTask
from nnzoo.data.text.tokenized_module import Batch, TokenizedDataModule, warn_of_repeated
from nnzoo.data.text.tokenizer import longest_input
from nnzoo.data.text.tokens import TokenTable, cached_tokens, digest, table_of
from nnzoo.errors import InputError, check_sizes

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
        dataset: stdlib (docstrings and reference topics of the running Python, by their area) | function_lengths and
            function_statements (docstrings of its functions, with log2 of the lines and the kinds of statements of
            their code) | sst2 (sentences of film
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

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        super().check_settings()
        if self.hparams["max_length"] is not None:
            check_sizes(max_length=self.hparams["max_length"])

    @cached_property
    def _loaded(self) -> dict[str, TextRows]:
        """The texts of train, and of val and test where the data set brings these."""
        return self.source.load()

    @cached_property
    def _target(self) -> Target:
        """How labels become numbers; by a checkpoint, or the training file."""
        if self.fitted is not None:
            return Target.from_plain(self.fitted["target"])
        train = self._loaded["train"]
        return Target.fit(train.target, train.path, self.hparams["separator"], self.hparams["task"])

    @cached_property
    def _labels_of_all(self) -> Tensor:
        """Of all texts, those of train first, then val and test."""
        return torch.cat([self._target.read(rows.target, rows.path) for rows in self._loaded.values()])

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        """Numbers of the texts of each part."""
        labels, official = self._labels_of_all, [part for part, rows in self._loaded.items() for _ in rows.texts]
        classes = labels if self.task == "classification" else torch.zeros(len(labels), dtype=torch.int64)
        parts = split_parts(classes, official, **self.split_settings())
        if self.task == "classification":
            warn_of_absent_classes(labels[parts["train"]], self.classes, "text")
            warn_of_rare_classes(labels, self.classes, self.hparams["folds"], self.hparams["fold"])
        elif self.task == "regression":
            check_numbers(labels.double().numpy(), parts, self._target.columns[0])
        return parts

    @fact
    def task(self) -> TextTask:
        """Classification, multilabel or regression."""
        return self._target.task

    @held("use data with the same classes; what has no class yet is given by --data.predict_file")
    def classes(self) -> list[str]:
        """Names of the classes, or of the labels, in the order of their numbers; empty for regression."""
        return self._target.classes

    @fact
    def target_name(self) -> str:
        """Name of the labels' column."""
        return ", ".join(self._target.columns)

    @held("set --data.max_length to match")
    def max_length(self) -> int:
        """Tokens of the longest text, special ones included.

        Raises:
            InputError: If nothing of a text is left beside the special tokens.
        """
        special = self.text_tokenizer.num_special_tokens_to_add(pair=self.source.columns.pair is not None)
        most = self.hparams["max_length"] or longest_input(self.text_tokenizer)
        if most <= special + 1:
            raise InputError(
                f"A text needs more than {most} tokens, {special} of which are special: raise --data.max_length."
            )
        return most

    @fact
    def target_offset(self) -> float:
        """What is subtracted from the targets in batches: 0, unless they are so far from 0 that float32 blurs them."""
        return self._target.offset

    @fact
    def target_mean(self) -> float:
        """Mean of the training targets; 0 if they are no numbers."""
        known = self.task == "regression"
        return self.target_offset + float(self._training_labels.double().mean()) if known else 0.0

    @fact
    def target_std(self) -> float:
        """Standard deviation of the training targets; 1 if they are no numbers."""
        return float(self._training_labels.double().std(correction=0)) if self.task == "regression" else 1.0

    @property
    def _training_labels(self) -> Tensor:
        return self._labels_of_all[self._rows["train"]]

    @property
    def class_weights(self) -> Tensor:
        """Weights n / (K n_c) per class in training; of several labels (n - n_c) / n_c, as BCE's ``pos_weight``."""
        if self.task != "multilabel":
            return class_weights(self._training_labels, self.num_classes) if self.num_classes else torch.empty(0)
        on = self._training_labels.sum(dim=0)
        return torch.where(on > 0, (len(self._training_labels) - on) / on.clamp(min=1), 0.0)

    def sample_weights(self) -> Tensor | None:
        """With ``balanced``, the weight of each training text's class."""
        if self.balanced and self.task != "classification":
            raise InputError(f"--data.balanced needs one class of each text, not {self.task}: leave it out.")
        return super().sample_weights()

    def _written(self, rows: TextRows) -> list[tuple[str, ...]]:
        """Texts, or pairs of them, as the model reads them."""
        if rows.pairs is None:
            return [(self.in_template(text),) for text in rows.texts]
        if "{text_pair}" in (self.hparams["template"] or ""):
            return [(self.in_template(*both),) for both in zip(rows.texts, rows.pairs, strict=True)]
        return [(self.in_template(text), pair) for text, pair in zip(rows.texts, rows.pairs, strict=True)]

    @cached_property
    def _all_written(self) -> list[tuple[str, ...]]:
        return [text for rows in self._loaded.values() for text in self._written(rows)]

    def texts(self, part: str) -> tuple[list[str], Tensor]:
        """Texts of a part as the model reads them, pairs joined by a line break, and their labels.

        Args:
            part: train | val | test.
        """
        if part == "test" and self.uses_fitted("test"):
            rows = self.source.load_test()
            return ["\n".join(text) for text in self._written(rows)], self._target.read(rows.target, rows.path)
        chosen = self._rows[part]
        return ["\n".join(self._all_written[row]) for row in chosen.tolist()], self._labels_of_all[chosen]

    def training_texts(self) -> list[str]:
        """The texts of the training part as the model reads them."""
        return self.texts("train")[0]

    def _tokens(self, texts: list[tuple[str, ...]], said: str) -> TokenTable:
        """Texts as tokens, from the cache if they are there."""
        encoder = TextEncoder(self.text_tokenizer, self.max_length)
        key = ("texts", digest(texts), self.tokenizer_hash, self.max_length, transformers_version())
        table = cached_tokens(key, texts, encoder, len(texts))
        cut = table.counts.get("cut", 0)
        if cut:
            rank_zero_warn(
                f"{cut:,} of {len(texts):,} texts{said} have more than {self.max_length} tokens and are cut there: "
                "raise --data.max_length if the model can read more."
            )
        return table

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Batch:
        """A batch without labels of raw texts, as training prepares them (template, tokenizer, ``max_length``)."""
        rows = TextRows(list(texts), None if pairs is None else list(pairs), pd.DataFrame(), pd.DataFrame(), "")
        table = table_of(TextEncoder(self.text_tokenizer, self.max_length)(self._written(rows)))
        return table.batch(table.starts, table.lengths, {"input_ids": self.pad_token_id})

    def prepare_data(self) -> None:
        """Makes the tokens on one process of each machine; the others then find them in the cache."""
        super().prepare_data()
        if self.fitted is None:
            self._tokens(self._all_written, "")

    def setup(self, stage: str | None = None) -> None:
        """Splits the texts and makes tokens of them, or finds these in the cache; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        if self._new is not None:
            shape = (len(self._new.texts), *([self.num_classes] if self.task == "multilabel" else []))
            unknown = torch.zeros(shape, dtype=torch.int64 if self.task == "classification" else torch.float32)
            self.parts["predict"] = self._dataset(self._new, unknown)
        if self.uses_fitted(stage):
            if stage == "test":
                rows = self.source.load_test()
                self.parts["test"] = self._dataset(rows, self._target.read(rows.target, rows.path))
            return
        table = self._tokens(self._all_written, "")
        for part in PARTS:
            self.parts[part] = TextDataset(table, self._rows[part], self._labels_of_all, self.pad_token_id)
        warn_of_repeated(self._all_written, self._rows)
        counts = ", ".join(f"{len(rows):,} {part}" for part, rows in self._rows.items())
        lengths = table.lengths[self._rows["train"]]
        kind = (
            f"{self.num_classes} {'labels' if self.task == 'multilabel' else 'classes'}" if self.classes else "numbers"
        )
        rank_zero_info(
            f"{self.named} ({self.task}): {counts} texts, {kind}, "
            f"{int(lengths.median())} tokens in the middle and {int(lengths.max())} at most"
        )

    def _dataset(self, rows: TextRows, labels: Tensor) -> TextDataset:
        texts = self._written(rows)
        return TextDataset(self._tokens(texts, f" of {rows.path}"), torch.arange(len(texts)), labels, self.pad_token_id)

    @cached_property
    def _new(self) -> TextRows | None:
        """The texts of ``predict_file``."""
        return self.source.load_new() if self.hparams["predict_file"] else None

    def fitted_state(self) -> dict[str, Any]:
        """How files are read and labels become numbers."""
        return {"target": self._target.plain(), "columns": self.source.plain()}

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Takes facts, columns and labels from a checkpoint, so that no training data need to be read."""
        super().restore(state_dict)
        self.source.restore(state_dict["fitted"]["columns"])

    def predict_dataloader(self) -> DataLoader[Any]:
        """The texts of ``predict_file``, or the test texts; labels of new texts are zeros."""
        return self._loader("test" if self._new is None else "predict")

    def predicted_rows(self) -> pd.DataFrame | None:
        """The texts to predict as they stand in their file, and their labels where these are known."""
        if self._new is not None:
            return self._new.written
        written = pd.concat([rows.written for rows in self._loaded.values()], ignore_index=True)
        return written.iloc[self._rows["test"].numpy()].reset_index(drop=True)
