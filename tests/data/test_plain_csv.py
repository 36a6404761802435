"""Columns of plain numbers, read as such, are what their texts would have been read as."""

import contextlib
import warnings

import numpy as np
import pandas as pd
import pytest

from nnzoo import InputError
from nnzoo.data import plain_csv
from nnzoo.data.columns import formats_of, read_columns
from nnzoo.data.csv_file import read_csv
from nnzoo.data.plain_csv import read_table

ROWS = 60


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Writes columns of texts; returns what texts and what numbers make of them, and the columns read as numbers."""
    monkeypatch.setattr(plain_csv, "SAMPLE", 10)
    monkeypatch.setattr(plain_csv, "CHUNK", 7)
    monkeypatch.setattr(plain_csv, "BLOCK", 100)

    def read(columns, mark=",", end="\n", above="", texts=(), last=True):
        path = tmp_path / "my.csv"
        lines = [mark.join(columns), *map(mark.join, zip(*columns.values(), strict=True))]
        path.write_bytes((above + end.join(lines) + end * last).encode())
        made = []
        for frame in (read_csv(path), read_table(path, texts=texts)):
            formats = formats_of(frame, path, texts)
            made.append((formats, read_columns(frame, formats, path)))
        return (*made, list(frame.attrs.get("plain", {})))

    return read


def decimals(seed=0):
    values = np.random.default_rng(seed).normal(size=ROWS) * 10.0 ** np.arange(-20, 40)[:ROWS].clip(-9, 9)
    return [repr(float(value)) for value in values]


CITIES = ["Rome", "", "Oslo", "007", " Bern "] * (ROWS // 5)
WHOLE = [str(7 * i - 40) for i in range(ROWS)]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("settings", [{}, {"end": "\r\n"}, {"above": "\n \n"}, {"last": False}, {"above": "\ufeff"}])
def test_numbers_have_the_bits_the_lines_and_the_formats_that_their_texts_give(both, mark, settings):
    gaps = [text if i % 4 else ("", "NA", "nan")[i % 3] for i, text in enumerate(decimals(1))]
    columns = {"a": decimals(), "town": CITIES, "n": WHOLE, "gaps": gaps, "q": [f'"{town}"' for town in CITIES]}
    (formats, expected), (found, frame), plain = both(columns, mark, **settings)
    assert plain == ["a", "n", "gaps"]
    assert found == formats
    pd.testing.assert_frame_equal(frame, expected, check_exact=True)
    assert np.array_equal(frame[plain].to_numpy().view(np.int64), expected[plain].to_numpy().view(np.int64))


LATE = {
    "a code": "0012",
    "a code with a sign": "-07",
    "a separator of thousands": "1.234.567",
    "a decimal comma": '"1,5"',
    "a unit": "5 kg",
    "a text": "none",
    "truth": "true",
    "a number that double precision does not hold": "9007199254740993",
    "an infinite one": "inf",
    "more than any": "1e400",
    "minus nothing": "-0",
    "spaces": " 7",
    "an underscore": "1_0",
    "quotes": '"7"',
    "a line break": '"7\n"',
    "a gap": "",
    "a fraction": "2.5",
    "a whole number with a point": "7.0",
    "a power": "1e3",
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("kind", ["decimal", "whole"])
def test_what_comes_after_the_first_rows_is_read_or_refused_as_texts_are(both, tmp_path, late, kind):
    texts = decimals() if kind == "decimal" else list(WHOLE)
    texts[40] = late
    columns = {"x": texts, "other": decimals(2), "town": ["Rome", "Oslo"] * (ROWS // 2)}
    outcomes = []
    with contextlib.suppress(InputError):
        (formats, expected), (found, frame), _ = both(columns)
        assert found == formats
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)
    for read in (read_csv, read_table):
        try:
            outcomes.append(str(formats_of(read(tmp_path / "my.csv"), tmp_path / "my.csv")))
        except InputError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "values",
    [["1.234"] * ROWS, ["5", "6"] * 29 + ["7.000", "8.000"], ["0", "1"] * 30, ["007"] * ROWS, ["20240131"] * ROWS],
)
def test_what_may_be_read_in_two_ways_is_decided_as_with_texts(both, values):
    (formats, expected), (found, frame), _ = both({"x": values, "y": decimals()})
    assert found == formats
    pd.testing.assert_frame_equal(frame, expected, check_exact=True)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "rownames", "index", "chosen"])
def test_columns_that_may_count_rows_and_those_that_are_named_stay_texts(both, name):
    *_, plain = both({name: list(map(str, range(ROWS))), "x": decimals()}, texts=["chosen"])
    assert plain == ["x"]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines, ""],
        lambda lines: [*lines[:40], ",,", *lines[40:]],
        lambda lines: [*lines[:40], "5", *lines[40:]],
        lambda lines: [*lines[:40], "5,6,7,8", *lines[40:]],
        lambda lines: [*lines[:40], '5,6,"a\nb"', *lines[40:]],
        lambda lines: [*lines[:40], '5,"6', *lines[40:]],
        lambda lines: [*lines[:40], '"5,6",7', *lines[40:]],
        lambda lines: [line + "," for line in lines],
        lambda lines: lines[:1],
        lambda lines: ["x,x,z", *lines[1:]],
    ],
)
def test_an_irregular_file_is_read_or_refused_as_texts_are(tmp_path, monkeypatch, change):
    monkeypatch.setattr(plain_csv, "SAMPLE", 10)
    path = tmp_path / "my.csv"
    rows = [f"{x},{y},{z}" for x, y, z in zip(decimals(), decimals(1), ["a", "b"] * 30, strict=True)]
    path.write_text("\n".join(change(["x,y,z", *rows])) + "\n")
    results = []
    for read in (read_csv, read_table):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                frame = read(path)
                results.append(read_columns(frame, formats_of(frame, path), path).to_csv())
            except InputError as error:
                results.append(str(error))
        results[-1] += str([str(one.message) for one in caught])
    assert results[0] == results[1]
