import functools
import gzip
import hashlib
import http.server
import threading
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import datasets

from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.images.sources import DOWNLOADS
from nnzoo.errors import InputError
from support.image_data import PARTS, make_mnist, prepared, rows

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", DOWNLOADS)
@pytest.mark.parametrize("error", [URLError("no network"), TimeoutError("timed out"), ConnectionResetError("reset")])
def test_without_a_network_the_message_names_the_folder_that_lacks_the_files(name, error, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(InputError) as caught:
        ImageDataModule(dataset=name, root=str(tmp_path / "new")).prepare_data()
    assert str(tmp_path / "new" / DOWNLOADS[name].files) in str(caught.value)
    assert "network" in str(caught.value)


def test_a_root_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        ImageDataModule(dataset="mnist", root=str(tmp_path / "file" / "data")).prepare_data()


def test_setup_without_the_files_names_the_folder(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        ImageDataModule(dataset="mnist", root=str(tmp_path)).setup()


@pytest.mark.parametrize("size", [500, 16, 3, 0])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_damaged_download_is_an_input_error_that_names_the_folder(name, size, tmp_path):
    make_mnist(tmp_path / "MNIST" / "raw", num_test=1000)
    path = tmp_path / "MNIST" / "raw" / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=str(tmp_path)):
        prepared(dataset="mnist", root=str(tmp_path))


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A local web server with MNIST's four archives; returns the official parts and the list of requested paths."""
    official = make_mnist(tmp_path / "plain")
    served = tmp_path / "served"
    served.mkdir()
    resources = []
    for path in (tmp_path / "plain").iterdir():
        archive = gzip.compress(path.read_bytes())
        (served / f"{path.name}.gz").write_bytes(archive)
        resources.append((f"{path.name}.gz", hashlib.md5(archive).hexdigest()))
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=served))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    yield SimpleNamespace(official=official, requests=requests, served=served)
    server.shutdown()
    server.server_close()


def test_a_missing_data_set_is_downloaded_once_and_only_by_prepare_data(tmp_path, mirror):
    root = tmp_path / "data" / "sets"
    module = ImageDataModule(dataset="mnist", root=str(root))
    assert module.in_shape == (1, 28, 28)
    assert not root.exists()
    module.prepare_data()
    count = len(mirror.requests)
    assert count >= 4
    module.setup()
    pixels, labels = module.tensors("test")
    np.testing.assert_array_equal((pixels * 255).round(), mirror.official["test"][0])
    np.testing.assert_array_equal(labels, mirror.official["test"][1])
    assert rows(torch.cat([module.tensors(part)[0] for part in PARTS[:2]]).mul(255).round().byte(), [0] * 200) == rows(
        mirror.official["train"][0], [0] * 200
    )
    prepared(dataset="mnist", root=str(root))
    assert len(mirror.requests) == count


def test_a_download_that_arrives_damaged_is_an_input_error_and_can_be_repeated(tmp_path, mirror):
    archive = mirror.served / "train-images-idx3-ubyte.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    module = ImageDataModule(dataset="mnist", root=str(tmp_path / "data"))
    with pytest.raises(InputError, match=str(tmp_path / "data")):
        module.prepare_data()
    archive.write_bytes(whole)
    module.prepare_data()
    assert len(module.tensors("test")[1]) == 30


def test_the_default_root_is_nnzoo_data(tmp_path, monkeypatch):
    make_mnist(tmp_path / "MNIST" / "raw")
    monkeypatch.setenv("NNZOO_DATA", str(tmp_path))
    assert len(prepared(dataset="mnist").tensors("test")[1]) == 30
