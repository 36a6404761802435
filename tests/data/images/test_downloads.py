"""Files of the official sets that are found on disk are checked against torchvision's hashes."""

import gzip
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import InputError
from support.image_data import make_cifar, make_mnist, prepared

pytestmark = pytest.mark.usefixtures("one_thread")
ZIPPED = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}


@pytest.fixture(params=ZIPPED)
def zipped(request, tmp_path, monkeypatch):
    """The name of a set whose archives lie beside its files, and the folder of both."""
    cls = ZIPPED[request.param]
    raw = tmp_path / cls.__name__ / "raw"
    make_mnist(raw)
    resources = []
    for path in sorted(raw.iterdir()):
        archive = gzip.compress(path.read_bytes())
        (raw / f"{path.name}.gz").write_bytes(archive)
        resources.append((f"{path.name}.gz", hashlib.md5(archive).hexdigest()))
    monkeypatch.setattr(cls, "resources", resources)
    return request.param, raw


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_whole_files_pass_without_a_word(zipped, tmp_path, caplog):
    assert len(prepared(dataset=zipped[0], root=str(tmp_path)).tensors("test")[1]) == 30
    assert "as they are" not in caplog.text


@pytest.mark.parametrize("changed", ["t10k-labels-idx1-ubyte", "train-images-idx3-ubyte"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("method", ["prepare_data", "setup"])
def test_one_other_byte_is_found_in_a_file_and_in_its_archive(zipped, changed, suffix, method, tmp_path):
    name, raw = zipped
    change_a_byte(raw / f"{changed}{suffix}")
    with pytest.raises(InputError, match=rf"Not the official files of {name}: {changed} in .*{name_of(raw)}.* delete"):
        getattr(ImageDataModule(dataset=name, root=str(tmp_path)), method)()


def name_of(raw: Path) -> str:
    return f"{raw.parent.name}/raw"


def test_files_without_archives_are_named_once_as_not_checked(zipped, tmp_path, caplog):
    name, raw = zipped
    (raw / "train-labels-idx1-ubyte.gz").unlink()
    prepared(dataset=name, root=str(tmp_path))
    assert caplog.text.count("what hashes are known of, train-labels-idx1-ubyte in") == 1


def test_one_other_number_is_found_in_a_batch_of_cifar(tmp_path, monkeypatch):
    make_cifar(tmp_path, monkeypatch)
    folder = tmp_path / "cifar-10-batches-py"
    for attribute, name in (("train_list", "data_batch_1"), ("test_list", "test_batch")):
        md5 = hashlib.md5((folder / name).read_bytes()).hexdigest()
        monkeypatch.setattr(datasets.CIFAR10, attribute, [[name, md5]])
    prepared(dataset="cifar10", root=str(tmp_path))
    batch = pickle.loads((folder / "test_batch").read_bytes())
    batch["data"] = np.ascontiguousarray(batch["data"])
    batch["data"][3, 5] ^= 1
    (folder / "test_batch").write_bytes(pickle.dumps(batch))
    with pytest.raises(InputError, match=r"Not the official files of cifar10: test_batch in .* delete that folder"):
        ImageDataModule(dataset="cifar10", root=str(tmp_path)).prepare_data()
