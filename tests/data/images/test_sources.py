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
from jsonargparse import ArgumentParser
from torchvision import datasets

from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.images.source import Images, ImageSource
from nnzoo.data.images.sources import SOURCES
from nnzoo.errors import InputError
from support.image_data import DOWNLOADS, PARTS, images, make_mnist, make_official, prepared, rows
from support.image_files import noise_folder, save
from support.room import module_with

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", DOWNLOADS)
@pytest.mark.parametrize("error", [URLError("no network"), TimeoutError("timed out"), ConnectionResetError("reset")])
def test_without_a_network_the_message_names_the_folder_that_lacks_the_files(name, error, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(InputError) as caught:
        ImageDataModule(dataset=name, root=str(tmp_path / "new")).prepare_data()
    folder = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw", "cifar10": "cifar-10-batches-py"}[name]
    assert f"{tmp_path / 'new' / folder}, or" in str(caught.value)
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


class Stripes(ImageSource):
    """Lines across or down, of 4 grey levels."""

    name = "stripes"
    uses = ("test_fraction",)
    shape, levels, classes = (1, 4, 6), 4, ["across", "down"]

    def load(self):
        across = torch.zeros(4, 6, dtype=torch.uint8)
        across[::2] = 3
        down = torch.zeros(4, 6, dtype=torch.uint8)
        down[:, ::2] = 1
        return Images(torch.stack([across, down] * 30)[:, None], torch.tensor([0, 1] * 30), ["train"] * 60)


def test_a_new_source_works_by_being_there(monkeypatch):
    stripes = module_with(monkeypatch, "images", Stripes).ImageDataModule
    module = stripes(dataset="stripes", test_fraction=0.2, batch_size=6)
    assert (module.in_shape, module.levels, module.classes) == ((1, 4, 6), 4, ["across", "down"])
    module.prepare_data()
    module.setup()
    assert [len(module.parts[part]) for part in PARTS] == [39, 9, 12]
    for pixels, labels in module.test_dataloader():
        assert torch.equal(pixels[:, 0, 0, 0], torch.where(labels == 0, 1, 1 / 3))
    assert list(module.predicted_rows().columns) == ["image", "class"]
    large = stripes(dataset="stripes", image_size=8, color="rgb")
    assert (large.in_shape, large.levels) == ((3, 8, 8), 256)
    assert large.tensors("train")[0].amax((1, 2, 3)).unique().tolist() == pytest.approx([1 / 3, 1], abs=0.1)
    with pytest.raises(InputError, match=r"The stripes need no --data\.root"):
        stripes(dataset="stripes", root=".")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(stripes, "data")
    assert parser.parse_args(["--data.dataset", "stripes"]).data.dataset == "stripes"
    assert "{digits,mnist,fashion_mnist,cifar10,folder,stripes}" in parser.format_help()


def test_a_source_is_chosen_by_its_name_in_the_order_of_the_help():
    assert list(SOURCES) == ["digits", "mnist", "fashion_mnist", "cifar10", "folder"]
    with pytest.raises(InputError, match="choose one of digits, mnist, fashion_mnist, cifar10, folder"):
        ImageDataModule(dataset="imagenet")


def test_options_act_with_the_sources_that_read_them():
    downloads = ["mnist", "fashion_mnist", "cifar10"]
    acting = {option: names for option, (choice, names) in ImageDataModule.acts_with.items() if choice == "dataset"}
    assert acting == {
        "root": [*downloads, "folder"],
        "test_fraction": ["digits", "folder"],
        "fit": ["folder"],
        "cache": ["folder"],
        "skip_broken": ["folder"],
        "grey_range": ["folder"],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"root": "x"}, "The digits need no --data.root: .* add --data.dataset folder"),
        ({"fit": "pad"}, "fit does nothing with dataset digits: leave it out, or set --data.dataset folder"),
        ({"dataset": "mnist", "fit": "squash"}, "fit does nothing with dataset mnist"),
        ({"dataset": "mnist", "cache": "h5"}, "--data.cache h5 is for --data.dataset folder"),
        ({"dataset": "fashion_mnist", "test_fraction": 0.2}, "leave it out, or set --data.dataset digits or folder"),
        ({"dataset": "cifar10", "test_fraction": 0.2}, "test_fraction does nothing with dataset cifar10"),
    ],
)
def test_an_option_that_does_not_act_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ImageDataModule(**arguments)


def test_images_to_predict_are_fitted_whatever_the_others_come_from(tmp_path):
    bright = np.full((8, 16, 3), 255, np.uint8)
    save(tmp_path / "wide.png", bright)
    means = {}
    for fit in ("crop", "pad"):
        module = prepared(predict_root=str(tmp_path), fit=fit)
        means[fit] = images(module.predict_dataloader()).mean().item()
    assert means["crop"] == 1
    assert means["pad"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", SOURCES)
def test_what_a_source_knows_agrees_with_what_it_loads(name, tmp_path, monkeypatch):
    if name in DOWNLOADS:
        make_official(name, tmp_path, monkeypatch)
    if name == "folder":
        noise_folder(tmp_path)
    module = ImageDataModule(dataset=name, root=None if name == "digits" else str(tmp_path))
    known = (module.in_shape, module.levels, module.classes)
    module.source.fetch()
    pixels, labels, official = module.source.load()
    assert (pixels.dtype, labels.dtype) == (torch.uint8, torch.int64)
    assert pixels.shape == (len(labels), *module.in_shape)
    assert pixels.max() == module.levels - 1
    assert labels.unique().tolist() == list(range(module.num_classes))
    assert len(official) == len(labels)
    assert set(official) == ({"train", "test"} if name in DOWNLOADS else {"train"})
    module.setup()
    assert (module.in_shape, module.levels, module.classes) == known
    assert module.tensors("test")[0].shape[1:] == module.in_shape
    files = [str(tmp_path / "a" / f"{row:03}.png") for row in (0, 3)]
    assert module.source.names([0, 3]) == ({"file": files} if name == "folder" else {"image": [0, 3]})
