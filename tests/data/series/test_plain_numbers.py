"""Plain numbers of a series' file are read as numbers at once, which tells nothing apart from reading texts."""

import numpy as np
import pandas as pd
import pytest

from nnzoo import InputError
from nnzoo.data.numbers import Style
from nnzoo.data.series.series import read_series


def test_plain_numbers_are_never_texts_and_have_the_same_bits(tmp_path, monkeypatch):
    numbers, path = np.random.default_rng(0).normal(size=40) * 10.0 ** np.arange(-26, 14), tmp_path / "sales.csv"
    days, shop = pd.date_range("2024-01-30", periods=40).astype(str), np.arange(40) // 20
    table = pd.DataFrame({"date": days, "units": np.arange(40), "price": numbers, "shop": shop})
    table.to_csv(path, index=False)
    monkeypatch.setattr(Style, "read", None)  # what makes numbers of texts
    read = read_series(path, "date", "shop", ["units", "price"])
    np.testing.assert_array_equal(read.values, np.stack([np.arange(40), numbers], axis=1))
    assert read.names == ["0", "1"]
    later = read_series(path, "date", "shop", ["units", "price"], times=read.times_as_written())
    np.testing.assert_array_equal(later.values, read.values)


@pytest.mark.parametrize("other", ["1.5", "1,5"])
def test_an_empty_field_is_named_whether_or_not_the_others_are_plain(tmp_path, other):
    path = tmp_path / "sales.csv"
    path.write_text(f"date;units\n2024-01-01;{other}\n2024-01-02;\n2024-01-03;{other}\n")
    with pytest.raises(InputError, match="line 3: units is empty, NaN or infinite"):
        read_series(path, "date", None, None)


def test_a_later_file_is_read_as_the_training_file_is_written(tmp_path):
    """1.250 is plain there, and more than a thousand here."""
    for name, values in (("train", ["1.250,5", "2.250,5", "3.250,5"]), ("new", ["1.250", "2.250", "3.250"])):
        rows = [f"2024-01-0{day};{value}" for day, value in enumerate(values, start=1)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["date;units", *rows]) + "\n")
    training = read_series(tmp_path / "train.csv", "date", None, ["units"])
    later = read_series(tmp_path / "new.csv", "date", None, ["units"], times=training.times_as_written())
    assert later.values[:, 0].tolist() == [1250, 2250, 3250]
