"""Models of tables against scikit-learn called directly, on the very rows."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nnzoo import TabularDataModule
from nnzoo.baselines.tables import SupervisedBaselines, supervised_baselines

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def parts_of(dataset):
    """All rows but those of the test, and the test's."""
    data = TabularDataModule(dataset=dataset)
    train, val, test = (data.arrays(part) for part in ("train", "val", "test"))
    return data, tuple(np.concatenate(both) for both in zip(train, val, strict=True)), test


@pytest.mark.parametrize("dataset", ["breast_cancer", "wine"])
def test_classifiers_are_fitted_on_training_and_validation_rows_and_scored_on_the_test(dataset):
    data, (inputs, target), (test, true) = parts_of(dataset)
    found = SupervisedBaselines().scores(None, data)
    scaler = StandardScaler().fit(inputs)
    models = {
        "sklearn_linear": (LogisticRegression(max_iter=5000), scaler.transform),
        "sklearn_mlp": (MLPClassifier(max_iter=1000, random_state=0), np.asarray),
        "sklearn_boosting": (HistGradientBoostingClassifier(random_state=0, early_stopping=False), np.asarray),
    }
    assert set(found) == set(models)
    for name, (model, prepared) in models.items():
        model.fit(prepared(inputs), target)
        predicted = model.predict(prepared(test))
        expected = {"accuracy": accuracy_score(true, predicted), "f1": f1_score(true, predicted, average="macro")}
        if dataset == "breast_cancer":
            positive = model.predict_proba(prepared(test))[:, 1]
            expected["macro_f1"], expected["f1"] = expected["f1"], f1_score(true, predicted)
            expected["auroc"] = roc_auc_score(true, positive)
            expected["average_precision"] = average_precision_score(true, positive)
        assert {metric: found[name][metric] for metric in expected} == pytest.approx(expected, rel=1e-5), name


def test_regressors_are_scored_in_the_targets_units():
    _, (inputs, target), (test, true) = parts_of("diabetes")
    inputs, target = inputs[:60], target[:60]  # for speed
    found = supervised_baselines((inputs, target), (test, true), "regression")
    scaler = StandardScaler().fit(inputs)
    models = {
        "sklearn_linear": (Ridge(), scaler.transform),
        "sklearn_boosting": (HistGradientBoostingRegressor(random_state=0, early_stopping=False), np.asarray),
    }
    assert set(found) == {*models, "sklearn_mlp"}
    for name, (model, prepared) in models.items():
        predicted = model.fit(prepared(inputs), target).predict(prepared(test))
        expected = {
            "rmse": root_mean_squared_error(true, predicted),
            "mae": mean_absolute_error(true, predicted),
            "r2": r2_score(true, predicted),
        }
        assert found[name] == pytest.approx(expected, rel=1e-3), name


def test_categories_are_one_hot_for_the_linear_model_and_one_never_seen_is_none_of_them():
    rng = np.random.default_rng(0)
    numbers, codes = rng.normal(size=120), rng.integers(1, 4, 120)
    inputs = np.stack([numbers, codes], axis=1)
    target = numbers + np.array([0.0, 5.0, -3.0, 1.0])[codes] + 0.1 * rng.normal(size=120)
    inputs[110:, 1] = 9
    found = supervised_baselines((inputs[:100], target[:100]), (inputs[100:], target[100:]), "regression", [1])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(inputs[:100, 1:])
    scaler = StandardScaler().fit(inputs[:100, :1])
    x, x_test = (
        np.hstack([encoder.transform(part[:, 1:]), scaler.transform(part[:, :1])])
        for part in (inputs[:100], inputs[100:])
    )
    predicted = Ridge().fit(x, target[:100]).predict(x_test)
    assert found["sklearn_linear"]["rmse"] == pytest.approx(root_mean_squared_error(target[100:], predicted))


def test_boosting_of_wide_tables_has_few_bins_and_of_others_scikit_learns():
    rng = np.random.default_rng(0)
    inputs, target = rng.normal(size=(60, 257)), np.arange(60) % 2
    for columns, bins in ((256, 255), (257, 32)):
        data = inputs[:, :columns], target
        found = supervised_baselines(data, data, "classification")["sklearn_boosting"]
        model = HistGradientBoostingClassifier(random_state=0, early_stopping=False, max_bins=bins).fit(*data)
        positive = model.predict_proba(data[0])[:, 1]
        assert found["average_precision"] == pytest.approx(average_precision_score(target, positive))


def test_large_tables_are_fitted_on_rows_chosen_at_random_and_the_note_says_so():
    data, (inputs, target), (test, true) = parts_of("wine")
    baselines = SupervisedBaselines(max_values=13 * 3 * 60)
    found = baselines.scores(None, data)
    rows = np.random.default_rng(0).choice(len(inputs), 60, replace=False)
    scaler = StandardScaler().fit(inputs[rows])
    model = LogisticRegression(max_iter=5000).fit(scaler.transform(inputs[rows]), target[rows])
    expected = accuracy_score(true, model.predict(scaler.transform(test)))
    assert found["sklearn_linear"]["accuracy"] == pytest.approx(expected)
    assert list(baselines.notes) == [f"sklearn_*: fitted on 60 of {len(inputs)} rows, chosen at random"]
    whole = SupervisedBaselines()
    whole.scores(None, data)
    assert not whole.notes
