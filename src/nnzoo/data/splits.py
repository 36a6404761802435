"""Splits by index: train, validation and test parts, folds of a cross-validation, class weights."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor

from nnzoo.errors import InputError

PARTS = ("train", "val", "test")


def split_indices(labels: Sequence[int] | Tensor, fractions: Sequence[float], seed: int) -> list[Tensor]:
    """Splits samples into parts at random, each class in the same proportions (up to two samples).

    Unlike scikit-learn's stratified split, this works for classes of any size, a single member included: the first part
    has a sample of each class, as what is not trained on cannot be told.

    Args:
        labels: Class of each sample (all equal where there are none).
        fractions: Share of each part but the first, which gets the rest; (0.15, 0.15) is 70/15/15.
        seed: Seed of the split.

    Returns:
        Sorted indices of each part.
    """
    labels = torch.as_tensor(labels)
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(labels), generator=generator)
    rest = shuffled[labels[shuffled].argsort(stable=True)]
    parts = []
    for fraction in fractions:
        # Class after class in one line, picked at even steps from a random start: every class gets its share.
        size = round(fraction * len(labels))
        start = torch.rand((), generator=generator, dtype=torch.float64)
        picked = ((torch.arange(size) + start) * (len(rest) / max(1, size))).long()
        parts.append(rest[picked])
        kept = torch.ones(len(rest), dtype=torch.bool)
        kept[picked] = False
        rest = rest[kept]
    _give_each_class(rest, parts, labels)
    return [part.sort().values for part in [rest, *parts]]


def _give_each_class(first: Tensor, others: Sequence[Tensor], labels: Tensor) -> None:
    """Swaps samples in place until ``first`` has one of each class, for samples of its most frequent classes."""
    counts = {int(label): int((labels[first] == label).sum()) for label in labels.unique()}
    for label in [label for label, count in counts.items() if count == 0]:
        most = max(counts, key=counts.__getitem__)
        if counts[most] < 2:
            return  # more classes than samples
        part = next(part for part in others if (labels[part] == label).any())
        there, here = (int((labels[p] == wanted).nonzero()[0]) for p, wanted in ((part, label), (first, most)))
        first[here], part[there] = part[there].clone(), first[here].clone()
        counts[most], counts[label] = counts[most] - 1, 1


def fold_indices(labels: Sequence[int] | Tensor, folds: int, fold: int, seed: int) -> Tensor:
    """Indices of one of ``folds`` parts of almost equal size; with several classes, each in the same proportions."""
    kind = StratifiedKFold if len(np.unique(labels)) > 1 else KFold
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        parts = list(kind(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels))
    return torch.from_numpy(parts[fold][1])


def split_parts(
    labels: Tensor,
    official: Sequence[str],
    val_fraction: float,
    test_fraction: float,
    seed: int,
    folds: int = 0,
    fold: int = 0,
) -> dict[str, Tensor]:
    """Rows of the parts "train", "val" and "test", which a data set may bring itself in whole or in part.

    Args:
        labels: Class of each sample (all equal where there are none).
        official: The part that the data set gives each sample; what is missing is drawn from "train".
        val_fraction: Share of "train" to draw for "val". With folds 0 makes the tested fold "val", too, as published
            tables of cross-validation often have it: what is chosen by it is measured too well.
        test_fraction: Share of "train" to draw for "test".
        seed: Seed of the split.
        folds: Cross-validation: the test part is one of so many folds of "train"; an official test part stays unused.
        fold: Number of that fold.

    Raises:
        InputError: If a part would be empty.
    """
    rows = {part: torch.tensor([i for i, p in enumerate(official) if p == part], dtype=torch.int64) for part in PARTS}
    if folds:
        check_folds(labels[rows["train"]], folds, fold)
        tested = fold_indices(labels[rows["train"]], folds, fold, seed)
        kept = torch.ones(len(rows["train"]), dtype=torch.bool)
        kept[tested] = False
        rows = {**rows, "train": rows["train"][kept], "test": rows["train"][tested]}
        if not val_fraction:
            rows["val"] = rows["test"]
    missing = [part for part in PARTS[1:] if not len(rows[part])]
    fractions = [{"val": val_fraction, "test": test_fraction}[part] for part in missing]
    pieces = split_indices(labels[rows["train"]], fractions, seed)
    rows |= {part: rows["train"][piece] for part, piece in zip(["train", *missing], pieces, strict=True)}
    for part, chosen in rows.items():
        if not len(chosen):
            raise InputError(f"{len(labels)} samples leave none for {part}: add samples or change the fractions.")
    return rows


def check_folds(labels: Tensor, folds: int, fold: int) -> None:
    """Raises InputError if samples of these labels cannot be divided into so many folds, or there is no such fold."""
    if not 2 <= folds <= len(labels):
        raise InputError(
            f"{folds} folds of {len(labels)} samples are not possible: set --folds to 2 or more, and fewer."
        )
    if not 0 <= fold < folds:
        raise InputError(f"There is no fold {fold} of {folds}: set --data.fold, from 0 to {folds - 1}.")
    largest = int(torch.as_tensor(labels).unique(return_counts=True)[1].max())
    if folds > largest:  # scikit-learn's stratified folds need one class that reaches into each
        raise InputError(
            f"{folds} folds of classes of at most {largest} samples are not possible: set --folds {largest}."
        )


def check_fractions(val_fraction: float, test_fraction: float, folds: int = 0) -> None:
    """Raises InputError unless both are above 0, for validation also 0 with folds, and leave something to train on."""
    if val_fraction == 0 and not folds:
        raise InputError("val_fraction and test_fraction must be above 0; with --folds the first may be 0.")
    if not (val_fraction >= 0 and test_fraction > 0 and val_fraction + test_fraction < 1):
        raise InputError("val_fraction and test_fraction must be above 0 and leave something to train on.")


def warn_of_absent_classes(labels: Tensor, classes: Sequence[str], samples: str) -> None:
    """Warns of classes without a training sample.

    Args:
        labels: Class number of each training sample.
        classes: Names of the classes.
        samples: What a sample is called, such as "row".
    """
    absent = torch.bincount(labels, minlength=len(classes)) == 0
    if absent.any():
        missing = ", ".join(name for name, none in zip(classes, absent, strict=True) if none)
        rank_zero_warn(f"No training {samples} is of the class {missing}: it cannot be learned; add samples of it.")


def warn_of_rare_classes(labels: Tensor, classes: Sequence[str], folds: int, fold: int) -> None:
    """Warns, with the first fold, of classes that are too small to be tested in each.

    Args:
        labels: Class number of each sample that the folds share out.
        classes: Names of the classes.
        folds: Number of folds; 0 for no cross-validation.
        fold: Number of the one that is tested.
    """
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    rare = [f"{name} ({count})" for name, count in zip(classes, counts, strict=True) if 0 < count < folds]
    if rare and fold == 0:
        rank_zero_warn(
            f"Not each of the {folds} folds tests every class, for want of samples of {', '.join(rare)}: take fewer "
            "--folds, or add samples."
        )


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Weights n / (K n_c) per class, as scikit-learn's ``class_weight="balanced"``: (K,); 0 for an empty class."""
    counts = torch.bincount(labels, minlength=num_classes)
    return torch.where(counts > 0, len(labels) / (num_classes * counts.clamp(min=1)), 0.0)
