"""What the datamodules of all rooms refuse alike."""

import pytest

from nnzoo import ForecastDataModule, InputError, SequenceDataModule, TabularDataModule

NAMED = {
    TabularDataModule: {"target": "price", "categorical": ["shop"]},
    SequenceDataModule: {"target": "kind", "group": "id", "time": "second"},
    ForecastDataModule: {"target": "units", "group": "shop", "time": "day"},
}


@pytest.mark.parametrize(
    ("cls", "option"), [(cls, option) for cls, named in NAMED.items() for option in named], ids=lambda value: str(value)
)
def test_a_column_that_is_used_cannot_be_left_out(cls, option):
    named = NAMED[cls]
    column = named[option][0] if option == "categorical" else named[option]
    says = rf"The column {column} cannot be both --data\.{option} and left out: take it out of --data\.drop"
    with pytest.raises(InputError, match=says):
        cls(csv="my.csv", **named, drop=["note", column])
    with pytest.raises(InputError, match=says):
        cls(csv="my.csv", **named, drop=column)
    assert cls(csv="my.csv", **named, drop=["note"]).hparams["drop"] == ["note"]
