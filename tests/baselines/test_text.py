import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, r2_score

from nnzoo import BertClassifier
from nnzoo.baselines.text import TextBaselines
from support.text_files import reviews

CLASSES = ["bad", "good"]


class Data:
    """Texts of three parts."""

    def __init__(self, task, labels, num_classes=3):
        self.task, self.num_classes = task, num_classes
        rows = [(text, labels(i, label == "good")) for i, (text, label) in enumerate(reviews(120))]
        kind = torch.int64 if task == "classification" else torch.float32
        self.parts = {
            part: ([text for text, _ in chosen], torch.tensor([label for _, label in chosen], dtype=kind))
            for part, chosen in {"train": rows[:60], "val": rows[60:80], "test": rows[80:]}.items()
        }

    def texts(self, part):
        return self.parts[part]


def fitted(data, model):
    """A model by scikit-learn alone on train and val, and what it says of the test texts."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=200_000)
    (texts, labels), (more, others) = (data.texts(part) for part in ("train", "val"))
    model.fit(words.fit_transform(texts + more), np.concatenate([labels.numpy(), others.numpy()]))
    return model.predict(words.transform(data.texts("test")[0]))


def test_classes():
    data = Data("classification", lambda i, good: 2 if i % 6 == 0 else int(good))
    scores = TextBaselines().scores(None, data)
    expected = fitted(data, LogisticRegression(C=10, max_iter=2000))
    assert scores["tfidf"]["accuracy"] == pytest.approx(accuracy_score(data.texts("test")[1], expected))
    most = torch.cat([data.texts("train")[1], data.texts("val")[1]]).mode().values
    assert scores["majority"]["accuracy"] == pytest.approx(float((data.texts("test")[1] == most).double().mean()))
    assert scores["majority"]["mcc"] == 0
    assert scores["tfidf"]["accuracy"] > scores["majority"]["accuracy"]


@pytest.mark.parametrize("positive", [0, 1])
def test_of_two_classes_f1_is_that_of_the_positive_one_as_a_classifiers(positive):
    data = Data("classification", lambda i, good: int(good and i % 5 > 0), 2)
    expected, true = fitted(data, LogisticRegression(C=10, max_iter=2000)), data.texts("test")[1].numpy()
    module = BertClassifier(pretrained="tiny_encoder", num_classes=2, classes=CLASSES, positive_class=CLASSES[positive])
    measured = module.metrics["test"]
    scores = TextBaselines().scores(module, data)["tfidf"]
    measured.update(torch.eye(2)[torch.from_numpy(expected)], torch.from_numpy(true))
    own = {name.removeprefix("test/"): float(value) for name, value in measured.compute().items()}
    assert scores["f1"] == pytest.approx(f1_score(true, expected, pos_label=positive)) == pytest.approx(own["f1"])
    assert scores["macro_f1"] == pytest.approx(f1_score(true, expected, average="macro")) != scores["f1"]
    assert scores == pytest.approx({name: own[name] for name in scores}, abs=1e-6), "names and numbers of the module's"


def test_numbers():
    data = Data("regression", lambda i, good: 3.0 + 2 * good + i % 3 / 10)
    scores = TextBaselines().scores(None, data)
    assert scores["tfidf"]["r2"] == pytest.approx(r2_score(data.texts("test")[1], fitted(data, Ridge())))
    mean = torch.cat([data.texts("train")[1], data.texts("val")[1]]).double().mean()
    mae = (data.texts("test")[1].double() - mean).abs().mean()
    assert scores["mean"]["mae"] == pytest.approx(float(mae))
    assert "pearson" in scores["tfidf"]
    assert "pearson" not in scores["mean"], "of a constant there is none"


def test_several_labels():
    data = Data("multilabel", lambda i, good: [float(good), float(i % 4 == 0)])
    scores = TextBaselines().scores(None, data)
    for place in (0, 1):
        one = Data("classification", lambda i, good, place=place: [int(good), int(i % 4 == 0)][place])
        expected = fitted(one, LogisticRegression(C=10, max_iter=2000))
        assert expected.shape == (40,)
    assert set(scores["tfidf"]) == {"accuracy", "f1"}
    assert scores["majority"]["f1"] <= scores["tfidf"]["f1"]
