"""Encoders of transformers, such as BERT, that classify or regress texts."""

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from matplotlib.figure import Figure
from torchmetrics import MetricCollection
from torchmetrics.regression import PearsonCorrCoef, SpearmanCorrCoef

from nnzoo.errors import InputError
from nnzoo.metrics.supervised import MatthewsCorrelation
from nnzoo.modules.classifier import Classifier
from nnzoo.modules.evaluating import evaluating
from nnzoo.modules.multilabel import MultilabelClassifier
from nnzoo.modules.regressor import Regressor
from nnzoo.modules.text_encoder import PAIRED, TextEncoderModule
from nnzoo.plots.texts import attention_layers, word_values
from nnzoo.plots.written import text_table

MISTAKES, EXPLAINED, MOST_TOKENS = 12, 5, 32
LOOKED_AT = 256
"""Texts among which mistakes are looked for: a large model takes its time for each."""
WIDTH = 90
"""Characters of a text in a table."""


class BertModule(TextEncoderModule):
    """What the tasks share: names of outputs in exported folders, pictures of attention and of words."""

    colors: ClassVar[str] = "blue speaks for the prediction, red against it"
    """Of words, by how much they count."""

    @abstractmethod
    def exported_as(self) -> dict[str, Any]:
        """What the configuration of an exported model says of its outputs."""

    def exported(self) -> Any:
        """The model of transformers, which knows the names of its outputs."""
        model = super().exported()
        for name, value in self.exported_as().items():
            setattr(model.config, name, value)
        return model

    @property
    def names(self) -> list[str]:
        """Names of the outputs."""
        return list(self.hparams.get("classes") or map(str, range(max(1, self.num_outputs))))

    def figures(self, batch: Any, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Those of the task, where the encoder looks in a text, and which words count."""
        figures = super().figures(batch, facts)
        if not self.hparams["tokenizer_files"]:
            return figures
        lengths = batch["attention_mask"].sum(dim=1)
        row = int((lengths.clamp(max=MOST_TOKENS) - lengths.clamp(min=MOST_TOKENS) + MOST_TOKENS).argmax())
        one = {name: values[row : row + 1, : min(int(lengths[row]), MOST_TOKENS)] for name, values in batch.items()
               if values.dim() == 2 and name != "labels"}  # fmt: skip
        with evaluating(self):
            try:
                weights = self.net.attention(*self.split(one)[0])[0]
            except InputError:  # such as one that mixes tokens without attention
                return figures
        first = {name: values[: 2 * EXPLAINED] for name, values in batch.items()}
        texts = [text for text in self.texts_of(first) if text and PAIRED not in text][:EXPLAINED]
        figures["attention"] = attention_layers(self.tokens_of(one, 0), weights)
        if texts and self.hparams["template"] is None:
            importance = [self.word_importance(text) for text in texts]
            figures["words"] = word_values(list(zip(self.titles_of(texts), importance, strict=True)), self.colors)
        return figures

    def titles_of(self, texts: Sequence[str]) -> list[str]:
        """What is predicted of texts, in words."""
        found = self.predict_texts(texts)
        return [f"{self.names[int(row.argmax())]} ({float(row.max()):.2f})" for row in found]


class BertClassifier(BertModule, Classifier):
    """Classifies texts by an encoder of transformers (BERT: Devlin et al. 2018, arXiv:1810.04805).

    Loss: mean over the batch of the cross-entropy of the head's logits, whose input is the pooled first token.

    Metrics are those of :class:`nnzoo.modules.classifier.Classifier`, and Matthews' correlation coefficient. To use
    another network, override :meth:`build_net`: from (input_ids, attention_mask, token_type_ids) to logits (B, K).

    >>> model = nnzoo.BertClassifier.load_from_checkpoint("runs/bert/.../best.ckpt")  # doctest: +SKIP
    >>> model.classify(["Return a copy of the list."])  # doctest: +SKIP
    """

    @property
    def num_outputs(self) -> int:
        """One logit for each class."""
        return self.hparams["num_classes"]

    def build_metrics(self, stage: str) -> MetricCollection:
        """Those of a classifier, and Matthews' coefficient in validation and test."""
        metrics = super().build_metrics(stage)
        if stage != "train":
            metrics.add_metrics({"mcc": MatthewsCorrelation(self.hparams["num_classes"])})
        return metrics

    def exported_as(self) -> dict[str, Any]:
        """Names of the classes."""
        numbered = dict(enumerate(self.names))
        return {"id2label": numbered, "label2id": {name: number for number, name in numbered.items()},
                "problem_type": "single_label_classification"}  # fmt: skip

    def classify(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The most probable class of each raw text and its probability, as transformers' pipeline gives them.

        Args:
            texts: As raw as training had them.
            pairs: A second text for each, if training had such.
        """
        top = self.predict_texts(texts, pairs).max(dim=1)
        return [
            {"label": self.names[k], "score": p} for k, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]

    def figures(self, batch: Any, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """The confusion matrix, the most confident mistakes, where the encoder looks, and which words count."""
        figures = super().figures(batch, facts)
        if not self.hparams["tokenizer_files"]:
            return figures
        batch = {name: values[:LOOKED_AT] for name, values in batch.items()}
        with evaluating(self), torch.no_grad():
            parts = [self.split({name: values[i : i + 64] for name, values in batch.items()})[0]
                     for i in range(0, len(batch["labels"]), 64)]  # fmt: skip
            probabilities = torch.cat([self(*inputs) for inputs in parts])
        confidence, predicted = probabilities.max(dim=1)
        wrong = (predicted != batch["labels"]).nonzero()[:, 0]
        worst = wrong[confidence[wrong].argsort(descending=True)[:MISTAKES]]
        if len(worst):
            chosen = {name: values[worst] for name, values in batch.items()}
            figures["mistakes"] = text_table({
                "text": [shortened(text) for text in self.texts_of(chosen)],
                "true": [self.names[k] for k in chosen["labels"].tolist()],
                "predicted": [self.names[k] for k in predicted[worst].tolist()],
                "p": [f"{p:.3f}" for p in confidence[worst].tolist()],
            })  # fmt: skip
        return figures


class BertMultilabelClassifier(BertModule, MultilabelClassifier):
    """Says which of several labels a text has; otherwise as :class:`BertClassifier`."""

    @property
    def num_outputs(self) -> int:
        """One logit for each label."""
        return self.hparams["num_classes"]

    def exported_as(self) -> dict[str, Any]:
        """Names of the labels."""
        numbered = dict(enumerate(self.names))
        return {"id2label": numbered, "label2id": {name: number for number, name in numbered.items()},
                "problem_type": "multi_label_classification"}  # fmt: skip

    def classify(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[list[dict[str, Any]]]:
        """The labels of each raw text that are more probable than not, the most probable first.

        Args:
            texts: As raw as training had them.
            pairs: A second text for each, if training had such.
        """
        found = []
        for row in self.predict_texts(texts, pairs).tolist():
            chosen = sorted(((p, name) for p, name in zip(row, self.names, strict=True) if p > 0.5), reverse=True)
            found.append([{"label": name, "score": p} for p, name in chosen])
        return found


class BertRegressor(BertModule, Regressor):
    """Regresses a number for each text, or for a pair of them; otherwise as :class:`BertClassifier`.

    Loss: squared error of the standardised target. Metrics are those of :class:`nnzoo.modules.regressor.Regressor`,
    and the correlations of Pearson and Spearman.
    """

    colors: ClassVar[str] = "blue raises the number, red lowers it"

    def build_metrics(self, stage: str) -> MetricCollection:
        """Those of a regressor, and two correlations in validation and test."""
        metrics = super().build_metrics(stage)
        if stage != "train":
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Metric `SpearmanCorrcoef` will save")  # a number for each text
                metrics.add_metrics({"pearson": PearsonCorrCoef(), "spearman": SpearmanCorrCoef()})
        return metrics

    def exported_as(self) -> dict[str, Any]:
        """That it regresses."""
        return {"problem_type": "regression"}

    def exported(self) -> Any:
        """The model of transformers, whose outputs are in the target's own units."""
        model = super().exported()
        offset = self.hparams["target_offset"]
        if offset:
            rank_zero_warn(
                f"The folder's outputs are in single precision, which blurs numbers near {offset:.6g}: predict with "
                "this model where their differences count."
            )
        return self.net.rescaled(model, float(self.target_std), float(self.target_mean) + offset)

    def predict_numbers(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[float]:
        """The number of each raw text, in the target's own units."""
        return [float(value) for value in self.predict_texts(texts, pairs)]

    def titles_of(self, texts: Sequence[str]) -> list[str]:
        """The predicted numbers."""
        return [f"{value:.4g}" for value in self.predict_numbers(texts)]


def shortened(text: str) -> str:
    """A text that fits into a table."""
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
