import numpy as np
import pandas as pd
import pytest

from nnzoo import InputError
from nnzoo.data.tables.dates import DateParts
from nnzoo.data.tables.preprocessor import Preprocessor


def sold(*dates):
    return pd.DataFrame({"sold": dates, "x": np.arange(len(dates))})


def test_a_date_becomes_its_day_month_and_weekday():
    table = sold("2024-01-31", "1970-01-02", None)
    parts = DateParts(table, [])(table)
    assert list(parts.columns) == ["x", "sold (day)", "sold (month)", "sold (weekday)"]
    assert parts["sold (day)"].tolist()[:2] == [19753, 1]
    assert parts["sold (month)"].tolist()[:2] == ["January", "January"]
    assert parts["sold (weekday)"].tolist()[:2] == ["Wednesday", "Friday"]
    assert parts.iloc[2].isna().tolist() == [False, True, True, True]


def test_times_of_day_add_the_hour_if_training_has_them():
    table = sold("2024-01-31 06:30", "2024-02-01 00:00")
    parts = DateParts(table, [])(table)
    assert parts["sold (hour)"].tolist() == [6.5, 0]
    assert parts["sold (day)"].tolist() == [19753 + 6.5 / 24, 19754]


def test_other_rows_are_read_in_the_order_of_day_and_month_of_the_training_rows():
    split = DateParts(sold("31/01/2024", "01/02/2024"), [])
    assert split(sold("03/04/2024"))["sold (month)"].tolist() == ["April"]
    assert split(sold(None))["sold (day)"].isna().all()
    with pytest.raises(InputError, match="'soon' cannot be read"):
        split(sold("soon"))


def test_what_only_looks_like_dates_stays_a_category():
    table = pd.DataFrame({"code": ["A1", "B2"], "month": ["May", "June"], "size": ["10-12", "12-14"], "n": [1, 2]})
    assert DateParts(table, []).columns == []
    assert DateParts(sold("2024-01-31", "2024-02-01"), ["sold"]).columns == []


def test_the_preprocessor_standardises_days_and_embeds_months():
    dates = pd.date_range("2024-01-01", periods=100, freq="D").astype(str)
    preprocess = Preprocessor(sold(*dates))
    columns = preprocess(sold(*dates))
    assert preprocess.numeric == ["x", "sold (day)"]
    np.testing.assert_allclose(columns.numeric[:, 1], columns.numeric[:, 0], atol=1e-5)
    assert preprocess.cardinalities == [4, 7]
