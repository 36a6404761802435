"""The datamodule of laws: parts, batches, facts and bad input."""

import pytest
import torch
from jsonargparse import ArgumentParser

from nnzoo import DensityDataModule, InputError
from nnzoo.data.densities.law import GaussianMixtureLaw
from nnzoo.data.densities.sources import SOURCES
from nnzoo.data.facts import Facts, held_facts
from nnzoo.data.splits import PARTS
from support.image_data import on_device, same
from support.room import check_that_a_source_reads_what_it_says, check_that_further_sources_can_be_chosen, module_with


def data(**settings):
    module = DensityDataModule(**{"num_samples": 200, "batch_size": 16, **settings})
    module.prepare_data()
    module.setup()
    return module


def loaded(module, part="train"):
    return list(getattr(module, f"{part}_dataloader")())


@pytest.mark.parametrize("dataset", SOURCES)
def test_batches_are_points_and_components(dataset):
    module = data(dataset=dataset)
    points, labels = loaded(module)[0]
    assert (points.shape, points.dtype, labels.shape, labels.dtype) == ((16, 2), torch.float32, (16,), torch.int64)
    assert {part: len(module.parts[part]) for part in PARTS} == {"train": 140, "val": 30, "test": 30}
    order = {tuple(point): label for point, label in zip(points.tolist(), labels.tolist(), strict=True)}
    train = module.parts["train"]
    known = dict(zip(map(tuple, train.points.tolist()), train.labels.tolist(), strict=True))
    assert order.items() <= known.items(), "a point keeps its component"


def test_every_point_is_visited_once_per_epoch_and_evaluation_keeps_the_order():
    module = data(num_samples=100, val_fraction=0.2, test_fraction=0.16)  # 64 for training
    train = torch.cat([points for points, _ in loaded(module)])
    torch.testing.assert_close(train.sort(dim=0).values, module.points("train").sort(dim=0).values)
    for part in ("val", "test", "predict"):
        own = "test" if part == "predict" else part
        assert torch.equal(torch.cat([points for points, _ in loaded(module, part)]), module.points(own))


def test_set_up_twice_and_in_two_modules_gives_the_same_points_in_parts_that_share_none():
    module, again = data(), data(seed=5)
    parts = dict(module.parts)
    module.setup()
    assert module.parts == parts
    for part in PARTS:
        assert torch.equal(module.points(part), again.points(part)), "seed is for their order alone"
        assert torch.equal(module.parts[part].labels, again.parts[part].labels)
    drawn = torch.cat([module.points(part) for part in PARTS])
    assert len(drawn.unique(dim=0)) == 200


def test_points_depend_on_the_split_seed_and_their_order_on_seed_and_epoch():
    assert not any(torch.isin(data().points(part), data(split_seed=1).points(part)).any() for part in PARTS)
    first, other = (loaded(on_device(data(seed=seed))) for seed in (0, 1))
    assert same(first, loaded(on_device(data(seed=0))))
    assert not same(first, other)
    assert not same(first, loaded(on_device(data(), epoch=1)))


def test_two_devices_share_the_batches_of_one_and_a_resumed_run_goes_on_with_the_next():
    whole = loaded(on_device(data(), epoch=3))
    ranks = [loaded(on_device(data(), rank, 2, epoch=3)) for rank in range(2)]
    for rank, share in enumerate(ranks):
        assert same(share, [[tensor[rank::2] for tensor in batch] for batch in whole])
    assert same(loaded(on_device(data(), epoch=3, step=5)), whole[5:])


def test_what_is_known_of_a_mixture_of_gaussians():
    module = data(dataset="twenty_five_gaussians")
    facts = Facts(module)
    assert facts["in_shape"] == (2,)
    assert facts["levels"] == 0
    assert facts["num_classes"] == len(facts["classes"]) == len(facts["mode_centers"]) == 25
    assert facts["mode_std"] == pytest.approx(0.05 / 2.828)
    torch.testing.assert_close(torch.tensor(facts["mode_centers"]).double(), module.modes().centers)
    assert {"in_shape", "levels", "classes", "mode_centers", "mode_std"} <= set(held_facts(module))
    points = module.points("test")
    assert torch.equal(module.log_density(points), facts["law"].log_density(points))
    kept = module.state_dict()["facts"]
    assert "law" not in kept, "a checkpoint keeps plain values"
    assert all(isinstance(value, list | tuple | int | float) for value in kept.values())


@pytest.mark.parametrize("dataset", ["swiss_roll", "moons", "checkerboard"])
def test_laws_without_modes_say_so(dataset):
    module = data(dataset=dataset)
    assert (module.mode_centers, module.mode_std) == ([], 0.0)
    with pytest.raises(InputError, match=f"The {dataset} has no modes to count: set --data.dataset eight_gaussians"):
        module.modes()


def test_some_points_are_chosen_at_random_and_the_same_ones_each_time():
    module = data()
    chosen, again = module.points("train", 20), module.points("train", 20)
    assert torch.equal(chosen, again)
    assert len(chosen) == 20
    assert not torch.equal(chosen, module.points("train")[:20])
    assert len(module.points("train", 1000)) == 140


def test_predicted_rows_are_the_points_in_their_order():
    for dataset in ("moons", "swiss_roll"):
        module = data(dataset=dataset)
        rows, points = module.predicted_rows(), torch.cat([points for points, _ in loaded(module, "predict")])
        torch.testing.assert_close(torch.tensor(rows[["x", "y"]].values), points)
        assert ("class" in rows) is (dataset == "moons")
    labels = torch.cat([labels for _, labels in loaded(data(dataset="moons"), "predict")])
    assert data(dataset="moons").predicted_rows()["class"].tolist() == [("upper", "lower")[label] for label in labels]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_samples": 0}, "num_samples must be positive whole numbers, got 0"),
        ({"num_samples": -5}, "num_samples must be positive"),
        ({"num_samples": 2.5}, "num_samples must be positive"),
        ({"dataset": "spiral"}, "There is no dataset 'spiral': choose one of eight_gaussians, twenty_five_gaussians"),
        ({"val_fraction": 0.0}, "val_fraction and test_fraction must be above 0"),
        ({"num_samples": 2}, "2 points leave none for training: raise --data.num_samples"),
    ],
)
def test_bad_input(settings, says):
    with pytest.raises(InputError, match=says):
        data(**settings)


def test_three_points_are_enough_for_three_parts():
    assert {part: len(dataset) for part, dataset in data(num_samples=3).parts.items()} == dict.fromkeys(PARTS, 1)


class TwoGaussians(GaussianMixtureLaw):
    """A law that only this test knows."""

    name = "two_gaussians"
    std, scale = 0.5, 2.0
    classes = ("left", "right")
    centers = torch.tensor([[-2.0, 0.0], [2.0, 0.0]]).double().numpy()


def test_a_new_law_needs_no_other_edit(monkeypatch):
    cls = module_with(monkeypatch, "densities", TwoGaussians).DensityDataModule
    module = cls(dataset="two_gaussians", num_samples=50)
    module.setup()
    assert (module.num_classes, module.mode_std) == (2, 0.25)
    left = module.parts["train"].labels == 0
    assert (left == (module.points("train")[:, 0] < 0)).all()
    check_that_further_sources_can_be_chosen(cls, DensityDataModule)


@pytest.mark.parametrize("dataset", SOURCES)
def test_a_law_reads_what_it_says(dataset):
    check_that_a_source_reads_what_it_says(DensityDataModule(dataset=dataset, num_samples=50))


def test_the_command_line_offers_the_laws():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(DensityDataModule, "data")
    parsed = parser.parse_args(["--data.dataset=moons", "--data.num_samples=60"])
    assert (parsed.data.dataset, parsed.data.num_samples) == ("moons", 60)
    assert f"--data.dataset {{{','.join(SOURCES)}}}" in parser.format_help()
