"""Numbers as files write them, against pandas' reader with its decimal and thousands options."""

import io

import numpy as np
import pandas as pd
import pytest

from nnzoo.data.numbers import Style, offset_of, plain_numbers, plain_reading, reading_of


def style_of(*texts):
    """The first style in which all texts can be read; None if there is none."""
    reading = reading_of(texts)
    return None if reading.misfits or not reading.styles else reading.styles[0]


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("thousands", ["", " ", "."])
def test_marks_are_read_as_pandas_reads_them_if_it_is_told_them(decimal, thousands):
    if decimal == thousands:
        thousands = ","
    numbers = np.random.default_rng(0).lognormal(8, 3, 200).round(2)
    texts = [f"{number:,.2f}".replace(",", "T").replace(".", decimal).replace("T", thousands) for number in numbers]
    told = pd.read_csv(io.StringIO("x\n" + "\n".join(texts)), sep="\t", decimal=decimal, thousands=thousands or None)
    style = style_of(*texts)
    assert (style.decimal, style.thousands) == (decimal, thousands)
    assert style.read(pd.Series(texts)).tolist() == told["x"].tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("texts", "values", "unit"),
    [
        (["$17.70", "$1,200", "-$3"], [17.7, 1200, -3], "$"),
        (["US$ 5", "US$6.5"], [5, 6.5], "US$"),
        (["45 %", "3%", "12.5 %"], [45, 3, 12.5], "%"),
        (["12 kg", "13.5kg"], [12, 13.5], "kg"),
        (["90 km/h", "100 km/h"], [90, 100], "km/h"),
        (["5 \u20ac", "6,5 \u20ac"], [5, 6.5], "\u20ac"),
        (["1e5", "-2.5E-3", "\u22124"], [1e5, -2.5e-3, -4], ""),
        (["1'234.5", "7"], [1234.5, 7], ""),
    ],
)
def test_units_signs_and_powers(texts, values, unit):
    style = style_of(*texts)
    assert style.unit == unit
    assert style.read(pd.Series(texts)).tolist() == values


@pytest.mark.parametrize(
    "texts",
    [["007", "12"], ["01234", "98101"], ["9007199254740993", "5"], ["A1", "B2"], ["12:30", "12:40"], ["10-12"],
     ["192.168.0.1", "10.0.0.1"], ["5 kg", "500 g"], ["1.2.3"], ["12,34,567"], ["$5 kg"], ["1_000"], ["5 7"]],
)  # fmt: skip
def test_codes_and_other_texts_are_no_numbers(texts):
    assert style_of(*texts) is None
    assert plain_reading(pd.Series(texts)) is None or not plain_reading(pd.Series(texts)).styles


def test_a_mark_before_three_digits_may_be_either():
    assert reading_of(["1,234", "12"]).decimals == {",", "."}
    assert reading_of(["1.234", "12"]).decimals == {",", "."}
    assert plain_reading(pd.Series(["1.234", "12"])).decimals == {",", "."}
    for decided in (["0.234", "1.234"], ["1.5", "1.234"], ["1234.567"]):
        assert plain_reading(pd.Series(decided)).decimals == reading_of(decided).decimals == {"."}
    assert reading_of(["1,234.5"]).decimals == {"."}
    assert reading_of(["1,234,567"]).decimals == {"."}
    assert not reading_of(["12", "13"]).decimals


def test_what_is_not_of_a_style_is_nan():
    texts = pd.Series(["5 kg", "5", "5 g", "5,5 kg", "1,000 kg", ""])
    np.testing.assert_array_equal(Style(unit="kg").read(texts), [5, np.nan, np.nan, np.nan, np.nan, np.nan])
    assert Style(thousands=",", unit="kg").read(texts)[4] == 1000


def test_only_numbers_far_from_0_have_an_offset():
    small = np.random.default_rng(0).normal(size=100)
    assert offset_of(small) == offset_of(small + 500) == 0
    assert offset_of(small + 1e9) == round(1e9 + small.mean())
    assert offset_of(np.full(5, 3.0)) == 0


WRITTEN = [
    *"19",
    "-0.1",
    "+5",
    ".5",
    "5.",
    "1e5",
    "-2.5E-3",
    "1e400",
    "1e-400",
    "9007199254740993",
    "0.1234567890123456789",
]
ODD = [
    "",
    "1_0",
    " 1",
    "1 ",
    "--1",
    "1-2",
    "1e",
    "e5",
    ".",
    "+",
    "1e5.5",
    "inf",
    "nan",
    "1,5",
    "\u0661",
    "0x1f",
    "True",
]


@pytest.mark.parametrize("text", [*WRITTEN, *ODD])
def test_plain_numbers_are_those_that_pandas_reads_to_the_last_bit(text):
    for texts in (pd.Series([text], dtype="str"), pd.Series([text, "1.5"], [3, 8], name="x", dtype="str")):
        expected = pd.to_numeric(texts, errors="coerce").astype(float)
        pd.testing.assert_series_equal(plain_numbers(texts), expected, check_exact=True)


def test_random_numbers_are_those_that_pandas_reads_to_the_last_bit():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=3000) * 10.0 ** rng.integers(-300, 300, 3000)
    texts = pd.Series([repr(float(number)) for number in numbers])
    assert plain_numbers(texts).tolist() == pd.to_numeric(texts).tolist() == numbers.tolist()
