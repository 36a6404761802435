"""What texts say without a network: words counted, and a linear model on the counts."""

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from nnzoo.baselines.base import Baselines, Scores, fitting
from nnzoo.errors import check_sizes


class TextBaselines(Baselines):
    """Scores of scikit-learn's models on the same texts, as ``baseline/NAME/METRIC``.

    ``tfidf`` is logistic regression on words and pairs of words weighted by TF-IDF, with sublinear counts (ridge
    regression for numbers; one logistic regression for each of several labels), fitted on the training and validation
    part together; ``majority`` says the most frequent class of training (each label's, where there may be several), and
    ``mean`` the mean.

    Args:
        most_words: The most words and pairs that are counted, the most frequent ones.
    """

    needs = ("texts", "task", "num_classes")
    itemised = True

    def __init__(self, most_words: int = 200_000) -> None:
        check_sizes(most_words=most_words)
        self.most_words = most_words

    def scores(self, module: Any, data: Any) -> Scores:
        """Fits both and measures them on the test part."""
        known = [data.texts(part) for part in ("train", "val")]
        texts, target = [text for part, _ in known for text in part], np.concatenate([y.numpy() for _, y in known])
        tested, truth = data.texts("test")
        linear: Any = {
            "classification": lambda: LogisticRegression(C=10, max_iter=2000),
            "multilabel": lambda: OneVsRestClassifier(LogisticRegression(C=10, max_iter=2000)),
            "regression": lambda: Ridge(),
        }[data.task]()
        simple: Any = DummyRegressor() if data.task == "regression" else DummyClassifier(strategy="most_frequent")
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=self.most_words)
        models = {"tfidf": make_pipeline(words, linear), "mean" if data.task == "regression" else "majority": simple}
        found, positive = {}, None
        if data.task == "classification" and data.num_classes == 2:
            positive = getattr(module, "positive", 1)
        for name, model in models.items():
            with fitting(name):
                predicted = model.fit(texts, target).predict(tested)
            found[name] = text_scores(truth.numpy(), predicted, data.task, positive)
        return found


def text_scores(truth: Any, predicted: Any, task: str, positive: int | None = None) -> dict[str, float]:
    """Metrics of predictions: of classes, of several labels (N, K), or of numbers, by scikit-learn.

    F1 is the mean over classes or labels; of two classes ``f1`` is that of the positive one, as of a classifier, and
    ``macro_f1`` the mean.

    Args:
        truth: What is right.
        predicted: What was said.
        task: classification | multilabel | regression.
        positive: Number of the positive one of two classes; None of more.
    """
    if task == "regression":
        found = {
            "rmse": root_mean_squared_error(truth, predicted),
            "mae": mean_absolute_error(truth, predicted),
            "r2": r2_score(truth, predicted),
        }
        if np.std(predicted) > 0:
            found["pearson"] = np.corrcoef(truth, predicted)[0, 1]
    else:
        found = {"accuracy": accuracy_score(truth, predicted),
                 "f1": f1_score(truth, predicted, average="macro", zero_division=0)}  # fmt: skip
        if task == "classification":
            if positive is not None:
                found["macro_f1"] = found["f1"]
                found["f1"] = f1_score(truth == positive, predicted == positive, zero_division=0)
            found["mcc"] = matthews_corrcoef(truth, predicted)
    return {name: float(value) for name, value in found.items()}
