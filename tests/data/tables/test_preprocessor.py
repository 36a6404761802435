"""How columns become numbers: scales, indicators, codes, logarithms, and columns that are left out."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from nnzoo.data.tables.preprocessor import MISSING, Preprocessor, heavy_tailed


def test_numeric_columns_are_scikit_learns_standardised_values():
    table = pd.DataFrame(np.random.default_rng(0).normal(5, 3, (50, 3)), columns=list("abc"))
    ours = Preprocessor.fit(table)(table).numeric
    np.testing.assert_allclose(ours, StandardScaler().fit_transform(table), atol=1e-6)


def test_a_missing_number_becomes_the_mean_and_has_an_indicator_beside_the_columns():
    table = pd.DataFrame({"a": [1.0, np.nan, 3.0, 5.0], "b": [1.0, 2.0, 3.0, 4.0]})
    preprocess = Preprocessor.fit(table)
    numeric = preprocess(table).numeric
    assert preprocess.num_numeric == numeric.shape[1] == 3
    known = np.array([1.0, 3.0, 5.0])
    np.testing.assert_allclose(numeric[[0, 2, 3], 0], (known - 3) / known.std(), rtol=1e-6)
    assert numeric[1, 0] == 0
    assert numeric[:, 2].tolist() == [0, 1, 0, 0]
    later = preprocess(pd.DataFrame({"a": [1.0], "b": [np.nan]})).numeric
    assert later.shape == (1, 3), "a column complete in training gets no indicator later"


def test_categories_are_numbered_from_one_and_one_never_seen_is_zero():
    train = pd.DataFrame({"town": ["Rome", "Oslo", None, "Rome"], "x": [1.0, 2, 3, 4]})
    preprocess = Preprocessor.fit(train)
    assert preprocess.cardinalities == [3]
    names = [MISSING, "Oslo", "Rome"]
    codes = preprocess(pd.DataFrame({"town": ["Rome", "Lima", None, "Oslo"], "x": [1.0] * 4})).categories
    assert codes[:, 0].tolist() == [names.index("Rome") + 1, 0, names.index(MISSING) + 1, names.index("Oslo") + 1]


def test_heavy_tails_are_recognised_and_their_logarithm_taken():
    rng = np.random.default_rng(0)
    columns = {
        "income": rng.lognormal(10, 1.5, 500),
        "height": rng.normal(170, 10, 500),
        "sign": rng.normal(0, 1, 500) ** 3,
    }
    table = pd.DataFrame(columns)
    assert heavy_tailed(table.to_numpy()) == [True, False, False]
    income = Preprocessor.fit(table)(table).numeric[:, 0]
    expected = np.log1p(columns["income"] / np.median(columns["income"]))
    np.testing.assert_allclose(income, (expected - expected.mean()) / expected.std(), atol=1e-5)
    plain = Preprocessor.fit(table, log_columns=[])(table).numeric[:, 0]
    np.testing.assert_allclose(plain, StandardScaler().fit_transform(table)[:, 0], atol=1e-5)


def test_constant_columns_and_identifiers_are_left_out_with_a_warning():
    table = pd.DataFrame({"id": [f"h{i}" for i in range(50)], "same": [1.0] * 50, "land": ["x"] * 50, "x": range(50)})
    with pytest.warns(UserWarning, match="Left out") as warnings:
        preprocess = Preprocessor.fit(table)
    said = " ".join(str(warning.message) for warning in warnings)
    assert "Left out (one value only): same, land." in said
    assert "as of identifiers; --data.categorical keeps it): id." in said
    assert (preprocess.numeric, preprocess.categories) == (["x"], {})


@pytest.mark.parametrize(("name", "left_out"), [("id", True), ("house_id", True), ("Id", True), ("userID", True),
                                                ("humid", False), ("x", False)])  # fmt: skip
def test_whole_numbers_that_number_the_rows_are_left_out_by_their_name(name, left_out):
    table = pd.DataFrame({name: np.arange(50), "area": np.arange(50) * 1.5})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (name in Preprocessor.fit(table).numeric) != left_out
        assert name in Preprocessor.fit(table.assign(**{name: np.arange(50) // 2})).numeric, "a group is no identifier"


def test_a_column_of_one_value_and_gaps_scales_to_0_and_says_where_the_gaps_are():
    table = pd.DataFrame({"a": [5.0, 5.0, np.nan], "x": [1.0, 2.0, 3.0]})
    numeric = Preprocessor.fit(table, scaling="minmax")(table).numeric
    assert numeric[:, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(numeric[:, 1], [0, 0.5, 1])


@pytest.mark.parametrize("start", [0, 1, 7])
def test_a_column_of_any_name_that_counts_the_rows_is_told(start):
    """As the X of R; the training rows are a part of the file, in another order."""
    table = pd.DataFrame({"X": np.arange(start, start + 100), "age": np.arange(100) // 2})
    rows = np.random.default_rng(0).permutation(100)[:70]
    with pytest.warns(UserWarning, match="^X counts the rows as they stand in the file: leave it out with --data.drop"):
        assert Preprocessor.fit(table.iloc[rows]).numeric == ["X", "age"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Preprocessor.fit(table.iloc[:20])
        Preprocessor.fit(table.iloc[rows][["age"]])
