import os

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from nnzoo import ForecastDataModule, InputError
from nnzoo.data.splits import PARTS
from support.series import HORIZON, H, sales, whole


def test_every_target_lies_in_its_part_and_every_window_of_it_is_there(data_of):
    table = sales()
    data = data_of(table)
    values = torch.tensor(table[["units", "price"]].to_numpy(), dtype=torch.float32)
    for part, (start, end) in zip(PARTS, [(0, 70), (70, 85), (85, 100)], strict=True):
        history, target = whole(data, part)
        origins = [row for row in range(H, 100) if start <= row and row + HORIZON <= end]
        assert len(history) == len(origins)
        for number, origin in enumerate(origins):
            assert torch.equal(history[number], values[origin - H : origin])
            assert torch.equal(target[number], values[origin : origin + HORIZON, :1])


def test_what_comes_later_reaches_neither_training_nor_scaler_nor_earlier_parts(data_of):
    """Any other future gives the same bits."""
    table = sales()
    later_test, later = table.copy(), table.copy()
    for column in ("units", "price"):
        later_test.loc[85:, column] = 1e6 * np.arange(15.0)
        later.loc[70:, column] = -1e6 * np.arange(30.0)
    data, other_test, other = data_of(table), data_of(later_test), data_of(later)
    batches = list(data.train_dataloader())
    for changed in (other_test, other):
        for name in ("column_mean", "column_std", "history", "horizon", "season", "target_columns"):
            assert getattr(data, name) == getattr(changed, name)
        for batch, same in zip(batches, changed.train_dataloader(), strict=True):
            assert all(torch.equal(*tensors) for tensors in zip(batch, same, strict=True))
    for ours, theirs in zip(whole(data, "val"), whole(other_test, "val"), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(whole(data, "val")[1], whole(other, "val")[1])
    assert not torch.equal(whole(data, "test")[1], whole(other_test, "test")[1])


def test_the_first_validation_and_test_windows_see_the_steps_just_before_them(data_of):
    table = sales()
    data = data_of(table)
    for part, start in (("val", 70), ("test", 85)):
        history, *_, target = data.parts[part][0]
        np.testing.assert_allclose(history[:, 0], table["units"][start - H : start], rtol=1e-6)
        np.testing.assert_allclose(target[:, 0], table["units"][start : start + HORIZON], rtol=1e-6)


def test_the_scaler_is_scikit_learns_on_the_training_rows(data_of):
    table = sales()
    scaler = StandardScaler().fit(table[["units", "price"]][:70])
    data = data_of(table)
    np.testing.assert_allclose(data.column_mean, [scaler.mean_])
    np.testing.assert_allclose(data.column_std, [scaler.scale_])
    np.testing.assert_allclose(data.column_std[0], table[["units", "price"]][:70].std(ddof=0))


def test_the_scale_of_mase_is_the_mean_of_t_minus_m_seasonal_differences_in_training(data_of):
    table = sales()
    for season in (1, 7):
        data = data_of(table, season=season, targets="all")
        for column, name in enumerate(["units", "price"]):
            y = table[name][:70].tolist()
            expected = sum(abs(y[t] - y[t - season]) for t in range(season, 70)) / (70 - season)
            assert data.naive_error[0, column].item() == pytest.approx(expected)


def test_inputs_and_targets_can_be_chosen(data_of):
    for settings, shapes in (
        ({}, (2, 1)),
        ({"inputs": "target"}, (1, 1)),
        ({"targets": "all"}, (2, 2)),
        ({"targets": "all", "inputs": "target"}, (2, 2)),
        ({"target": "price"}, (2, 1)),
    ):
        data = data_of(sales(), **settings)
        history, place, offset, naive_error, target = data.parts["train"][0]
        assert place.tolist() == [0, H]
        assert offset.tolist() == [0.0] * shapes[0]
        assert (history.shape, target.shape) == ((H, shapes[0]), (HORIZON, shapes[1]))
        assert len(data.column_mean[0]) == len(data.column_std[0]) == shapes[0]
        assert len(naive_error) == len(data.target_columns) == shapes[1]
        assert torch.equal(target[:, 0], data.parts["train"].table.values[H : H + HORIZON, data.target_columns[0]])
    price = data_of(sales(), target="price")
    assert [price.columns[number] for number in price.target_columns] == ["price"]


def test_only_one_copy_of_the_series_is_kept(data_of):
    data = data_of(sales(), targets="all")
    kept = {tensor.data_ptr() for part in data.parts.values() for tensor in (part.table.values, part.targets)}
    assert len(kept) == 1


def test_windows_for_baselines_come_from_the_whole_part(data_of):
    data = data_of(sales())
    history, target, place, offset = data.windows("train", 5)
    every_history, every_target = whole(data, "train")
    last = len(every_history) - 1
    assert torch.equal(history, every_history[[0, 15, 30, 44, last]])
    assert torch.equal(target, every_target[[0, 15, 30, 44, last]])
    assert len(data.windows("train", 10_000)[0]) == len(every_history)
    assert torch.equal(place[:, 1], data.parts["train"].origins[[0, 15, 30, 44, last]])
    assert offset.shape == (5, 2)
    some = data.windows("train", 5, inputs=[1], targets=[1])
    assert torch.equal(some[0], history[:, :, 1:])
    first = data.parts["train"].origins[[0, 15, 30, 44, last]]
    assert torch.equal(some[1][:, 0, 0], data.parts["train"].table.values[first, 1])


def test_the_last_history_ends_with_the_data(data_of):
    table = pd.concat([sales(100, 0).assign(shop="a"), sales(100, 1).assign(shop="b")])
    last, place, offset = data_of(table, group="shop").last_windows()
    assert last.shape == (2, H, 2)
    np.testing.assert_allclose(last[1, :, 0], sales(100, 1)["units"][-H:], rtol=1e-6)
    assert place[:, 0].tolist() == [0, 1]
    assert offset.tolist() == [[0.0, 0.0]] * 2


def test_the_season_is_that_of_the_spacing_unless_it_is_given_or_too_long(data_of):
    assert data_of(sales()).season == 7
    assert data_of(sales(), season=3).season == 3
    assert data_of(sales(), time=None, target="units", inputs="target").season == 1
    with pytest.warns(UserWarning, match="longer than the history"):
        assert data_of(sales(), history=5).season == 1


def test_the_generated_series_needs_no_file_and_no_root():
    data = ForecastDataModule()
    data.setup()
    history, *_, target = next(iter(data.train_dataloader()))
    assert history.shape == (64, 168, 2)
    assert target.shape == (64, 24, 1)
    assert ([data.columns[number] for number in data.target_columns], data.season) == (["demand"], 24)
    alone = ForecastDataModule(inputs="target")
    alone.setup()
    assert torch.equal(next(iter(alone.train_dataloader()))[0], history[:, :, 1:])


SHORT = sales(20)


@pytest.mark.parametrize(
    ("table", "settings", "says"),
    [
        (sales(units=3.0), {}, "Column units is constant in the training part"),
        (sales(price=[2.0] * 70 + [3.0] * 30), {}, "Column price is constant in the training part"),
        (sales(), {"target": "amount"}, "There is no column 'amount': set --data.target to one of units, price"),
        (sales(), {"target": "amount", "inputs": "target"}, "no column amount"),
        (sales(units=2e12 + np.arange(100.0)), {}, "Column units has mean 2e+12 but standard deviation 20.2"),
        (sales(price=-3e11 - np.arange(100) % 2), {}, "Column price has mean -3e+11 but standard deviation 0.5"),
        (SHORT, {}, "set --data.horizon to 3 or less and --data.history to 11 or less"),
        (SHORT, {"horizon": None, "history": 15}, "set --data.history to 13 or less"),
        (sales(12), {"val_fraction": 0.3, "test_fraction": 0.3}, "the training part (4 steps)"),
        (sales(1), {}, "The series is too short: its parts have 1 (training), 0 (validation) and 0 (test) steps"),
        (sales(), {"season": 9}, "set --data.history 9 or more"),
    ],
)
def test_data_that_cannot_be_used(data_of, table, settings, says):
    if len(table) == 20:
        settings = {"horizon": 4, **settings}
    with pytest.raises(InputError) as error:
        data_of(table, **settings)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dataset": "csv"}, "needs --data.csv"),
        ({"csv": "a.csv"}, "--data.target"),
        ({"time": "date"}, "are for a file of your own: add --data.csv"),
        ({"group": "shop"}, "are for a file of your own: add --data.csv"),
        ({"dataset": "etth2"}, "There is no dataset 'etth2'"),
        ({"targets": "some"}, "There is no targets 'some'"),
        ({"history": 0}, "history must be positive"),
        ({"horizon": 0}, "horizon must be positive"),
        ({"season": 0}, "season must be positive"),
        ({"val_fraction": 0.0}, "must be above 0"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, "leave something to train on"),
        ({"batch_size": 0}, "set --data.batch_size"),
    ],
)
def test_settings_out_of_range(settings, says):
    with pytest.raises(InputError, match=says):
        ForecastDataModule(**settings)


def test_etth1_with_rows_missing(tmp_path):
    rows = pd.date_range("2016-07-01", periods=500, freq="h").astype(str)
    columns = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 7)), columns=columns)
    (tmp_path / "ETTh1").mkdir()
    table.assign(date=rows).to_csv(tmp_path / "ETTh1" / "ETTh1.csv", index=False)
    with pytest.raises(InputError, match=r"is not the ETTh1\.csv that published numbers are for"):
        ForecastDataModule(dataset="etth1", root=str(tmp_path)).setup()


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="needs ETTh1 under $NNZOO_DATA")
def test_etth1_has_the_windows_of_the_literature():
    """Sizes printed by the published code of Informer and DLinear for history 336 and horizon 96, nothing dropped."""
    data = ForecastDataModule(dataset="etth1", targets="all", history=336, horizon=96)
    data.setup()
    assert [len(data.parts[part].origins) for part in PARTS] == [8209, 2785, 2785]
    table = pd.read_csv(data.root / "ETTh1" / "ETTh1.csv")
    np.testing.assert_allclose(data.column_mean[0], table.iloc[:8640, 1:].mean())
    np.testing.assert_allclose(whole(data, "test")[1][-1], table.iloc[14_304:14_400, 1:], rtol=1e-6)
    np.testing.assert_allclose(data.parts["val"][0][0], table.iloc[8304:8640, 1:], rtol=1e-6)
    assert data.season == 24


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "rownames"])
def test_the_index_of_a_written_table_is_neither_seen_nor_forecast(data_of, name):
    table = sales()
    table.insert(0, name, np.arange(1, 101))
    for targets in ("one", "all"):
        with pytest.warns(UserWarning, match="numbers the rows and is left out"):
            data = data_of(table, targets=targets)
        assert data.columns == ["units", "price"]
