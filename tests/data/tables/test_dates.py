import numpy as np
import pandas as pd

from nnzoo.data.tables.dates import date_columns, split_dates, with_hours
from nnzoo.data.tables.preprocessor import Preprocessor


def sold(*dates):
    return pd.DataFrame({"sold": pd.to_datetime(pd.Series(dates)), "x": np.arange(len(dates))})


def split(table):
    return split_dates(table, date_columns(table), with_hours(table))


def test_a_date_becomes_its_day_month_and_weekday():
    parts = split(sold("2024-01-31", "1970-01-02", None))
    assert list(parts.columns) == ["x", "sold (day)", "sold (month)", "sold (weekday)"]
    assert parts["sold (day)"].tolist()[:2] == [19753, 1]
    assert parts["sold (month)"].tolist()[:2] == ["January", "January"]
    assert parts["sold (weekday)"].tolist()[:2] == ["Wednesday", "Friday"]
    assert parts.iloc[2].isna().tolist() == [False, True, True, True]


def test_times_of_day_add_the_hour_if_training_has_them():
    parts = split(sold("2024-01-31 06:30", "2024-02-01 00:00"))
    assert parts["sold (hour)"].tolist() == [6.5, 0]
    assert parts["sold (day)"].tolist() == [19753 + 6.5 / 24, 19754]


def test_the_preprocessor_standardises_days_and_embeds_months():
    dates = pd.date_range("2024-01-01", periods=100, freq="D").astype(str)
    preprocess = Preprocessor.fit(sold(*dates))
    columns = preprocess(sold(*dates))
    assert preprocess.numeric == ["x", "sold (day)"]
    np.testing.assert_allclose(columns.numeric[:, 1], columns.numeric[:, 0], atol=1e-5)
    assert preprocess.cardinalities == [4, 7]
