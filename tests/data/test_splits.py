"""Splits, folds and class weights, against scikit-learn."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils.class_weight import compute_class_weight

from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.data.splits import class_weights, fold_indices, split_indices, split_parts, warn_of_rare_classes
from nnzoo.errors import InputError

LABELS = {
    "digits": load_digits().target,
    "no classes": np.zeros(1000, int),
    "uneven": np.repeat(np.arange(5), [500, 200, 100, 50, 7]),
    "random sizes": np.repeat(np.arange(6), [13, 28, 41, 67, 74, 111]),
    "one or two members": np.repeat(np.arange(6), [60, 1, 2, 1, 2, 34]),
    "many classes of one": np.repeat(np.arange(51), [950] + [1] * 50),
    "many classes of two": np.repeat(np.arange(51), [900] + [2] * 50),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("fractions", [(0.15, 0.15), (0.15,), (0.1, 0.3), ()])
def test_parts_of_a_split_are_disjoint_complete_sorted_and_of_the_stated_size(labels, fractions):
    parts = split_indices(labels, fractions, seed=0)
    sizes = [round(fraction * len(labels)) for fraction in fractions]
    assert [len(part) for part in parts] == [len(labels) - sum(sizes), *sizes]
    assert sorted(torch.cat(parts).tolist()) == list(range(len(labels)))
    assert all(part.tolist() == sorted(part.tolist()) for part in parts)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_every_part_has_each_class_in_proportion_up_to_two_samples(labels):
    """But for the most frequent class, which makes room for what training needs of rare ones."""
    sizes = np.bincount(labels)
    rare = int((sizes < 8).sum())
    for seed in range(30):
        for part in split_indices(labels, (0.15, 0.15), seed):
            counts = np.bincount(labels[part.numpy()], minlength=len(sizes))
            apart = np.abs(counts - sizes * len(part) / len(labels))
            assert apart[sizes < sizes.max()].max(initial=0) < 2
            assert apart.max() < 2 + rare


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_training_has_a_sample_of_each_class(labels):
    for seed in range(50):
        assert set(labels[split_indices(labels, (0.15, 0.15), seed)[0].numpy()]) == set(labels)


def test_training_has_a_sample_of_each_class_of_two_in_every_fold():
    labels = torch.tensor([0] * 50 + [1, 1, 2, 2, 3])
    for seed in range(20):
        for fold in range(5):
            parts = split_parts(labels, ["train"] * 55, 0.15, 0.15, seed, folds=5, fold=fold)
            tested = set(labels[parts["test"]].tolist())
            assert set(labels[parts["train"]].tolist()) >= {0, 1, 2} | ({3} - tested)


def test_more_classes_than_training_samples_are_split_all_the_same():
    assert [len(part) for part in split_indices(range(4), (0.25, 0.25), seed=0)] == [2, 1, 1]


@pytest.mark.parametrize("name", ["digits", "no classes", "uneven"])
def test_class_counts_agree_with_scikit_learns_stratified_split(name):
    labels = LABELS[name]
    train, test = split_indices(labels, (0.15,), seed=0)
    splitter = StratifiedShuffleSplit(1, test_size=len(test), random_state=0)
    ours = np.bincount(labels[test.numpy()], minlength=labels.max() + 1)
    theirs = np.bincount(labels[next(splitter.split(labels, labels))[1]], minlength=labels.max() + 1)
    assert len(train) + len(test) == len(labels)
    assert np.abs(ours - theirs).max() <= 2


def test_every_sample_falls_into_each_part_as_often_as_its_fraction_says():
    labels = np.repeat([0, 1, 2], [8, 6, 6])
    hits = np.zeros((3, 20))
    for seed in range(1000):
        for part, indices in enumerate(split_indices(labels, (0.15, 0.15), seed)):
            hits[part, indices] += 1
    assert np.abs(hits / 1000 - np.array([[0.7], [0.15], [0.15]])).max() < 5 * np.sqrt(0.25 / 1000)


def test_a_split_depends_on_the_seed_alone():
    labels = LABELS["uneven"]
    torch.manual_seed(0)
    first = split_indices(labels, (0.15, 0.15), seed=0)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again = split_indices(torch.tensor(labels), (0.15, 0.15), seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[2], split_indices(labels, (0.15, 0.15), seed=1)[2])


PROGRAM = """
import json
from sklearn.datasets import load_digits
from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.data.splits import split_indices
parts = split_indices(load_digits().target, (0.15, 0.15), 7)
batches = GlobalBatchSampler(103, 12, seed=5, position=lambda: (3, 2))
print(json.dumps([[part.tolist() for part in parts], [[b.samples.tolist(), b.seed] for b in batches]]))
"""


def test_another_process_makes_the_same_split_and_the_same_batches():
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment
    ).stdout
    parts, batches = json.loads(output)
    assert parts == [part.tolist() for part in split_indices(LABELS["digits"], (0.15, 0.15), 7)]
    sampler = GlobalBatchSampler(103, 12, seed=5, position=lambda: (3, 2))
    assert batches == [[batch.samples.tolist(), batch.seed] for batch in sampler]


@pytest.mark.parametrize("name", ["digits", "uneven", "one or two members"])
def test_class_weights_equal_scikit_learns(name):
    labels = LABELS[name]
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    np.testing.assert_allclose(class_weights(torch.tensor(labels), labels.max() + 1), expected, rtol=1e-6)


def test_a_class_without_samples_has_weight_zero():
    assert class_weights(torch.tensor([0, 0, 2]), 4).tolist() == [3 / 8, 0, 3 / 4, 0]


@pytest.mark.parametrize("labels", [torch.arange(103) % 10, torch.zeros(103), torch.tensor([0] * 100 + [1, 1, 2])])
def test_every_sample_is_tested_in_exactly_one_fold_and_classes_keep_their_proportions(labels):
    folds = [fold_indices(labels, 5, fold, seed=3) for fold in range(5)]
    assert torch.cat(folds).sort().values.tolist() == list(range(103))
    for fold in folds:
        for label in labels.unique():
            share = (labels == label).sum() / 5
            assert abs((labels[fold] == label).sum() - share) < 1 + 1e-6


def test_the_parts_of_a_fold_are_disjoint_and_an_official_test_part_is_left_alone():
    labels = torch.arange(90) % 3
    official = ["train"] * 60 + ["test"] * 30
    tested = []
    for fold in range(4):
        parts = split_parts(labels, official, 0.2, 0.2, seed=0, folds=4, fold=fold)
        together = torch.cat(list(parts.values()))
        assert together.sort().values.tolist() == list(range(60))
        assert len(parts["test"]) == 15
        assert len(parts["val"]) == 9
        tested += parts["test"].tolist()
    assert sorted(tested) == list(range(60))


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (61, 0), (-2, 0)])
def test_folds_that_are_not_possible_are_refused(folds, fold):
    with pytest.raises(InputError, match="are not possible: set --folds"):
        split_parts(torch.zeros(60), ["train"] * 60, 0.1, 0.1, seed=0, folds=folds, fold=fold)


@pytest.mark.parametrize("fold", [5, -1])
def test_a_fold_that_is_not_there_is_refused(fold):
    with pytest.raises(InputError, match=r"set --data\.fold, from 0 to 4"):
        split_parts(torch.zeros(60), ["train"] * 60, 0.1, 0.1, seed=0, folds=5, fold=fold)


def test_folds_of_smaller_classes_are_refused_as_scikit_learn_does():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match="cannot be greater than the number of members in each class"):
        fold_indices(labels, 4, 0, seed=0)
    with pytest.raises(InputError, match="4 folds of classes of at most 3 samples"):
        split_parts(labels, ["train"] * 6, 0.1, 0.1, seed=0, folds=4)


def test_classes_too_small_for_each_fold_are_named_once(recwarn):
    labels = torch.tensor([0] * 20 + [1] * 3 + [2] * 5)
    for folds, fold in ((0, 0), (3, 0), (5, 1)):
        warn_of_rare_classes(labels, ["cat", "dog", "fox", "owl"], folds, fold)
    assert not recwarn
    with pytest.warns(UserWarning, match=r"Not each of the 5 folds tests every class, .* samples of dog \(3\): take"):
        warn_of_rare_classes(labels, ["cat", "dog", "fox", "owl"], 5, 0)
