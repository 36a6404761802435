"""What is downloaded is what the sources say, where the hosts can be reached."""

import socket

import pytest

from nnzoo.data.images.sources import SOURCES as IMAGES
from nnzoo.data.sequences.sources import SOURCES as SEQUENCES
from nnzoo.data.series.sources import SOURCES as SERIES
from nnzoo.nets.torchvision import pretrained_weights
from support.found import CONFIGS, datamodule_of, downloaded, recipe_of

pytestmark = [pytest.mark.online, pytest.mark.filterwarnings("ignore:.*")]
DOWNLOADED = [name for name in CONFIGS if recipe_of(name) and downloaded(name)]
SIZES = {"mnist": 70_000, "fashion_mnist": 70_000, "cifar10": 60_000}


@pytest.fixture(autouse=True)
def _needs_a_network():
    try:
        socket.create_connection(("github.com", 443), timeout=5).close()
    except OSError:
        pytest.skip("needs a network")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root with nothing in it."""
    monkeypatch.setenv("NNZOO_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_config_downloads_its_data_into_an_empty_root(name, root):
    data = datamodule_of(name)
    data.prepare_data()
    data.setup()
    assert (root / downloaded(name)).exists()
    assert sum(map(data.size_of, data.test_dataloader())) == len(data.parts["test"]) > 0


@pytest.mark.parametrize("name", [name for name, source in IMAGES.items() if source.folder])
def test_sets_of_images_have_their_published_sizes(name, root):
    source = IMAGES[name]({"root": str(root)})
    source.fetch()
    pixels, labels, _ = source.load()
    assert pixels.shape == (SIZES[name], *source.shape)
    assert labels.bincount().tolist() == [SIZES[name] // 10] * 10 or name == "mnist"


def test_every_download_is_covered():
    """A source of series or sequences that is downloaded has a config that the first test runs."""
    folders = {downloaded(name) for name in DOWNLOADED}
    for sources in (SEQUENCES, SERIES):
        assert {source.folder for source in sources.values() if source.folder} <= folders


def test_pretrained_weights_are_downloaded_and_checked(root, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(root))
    assert pretrained_weights("squeezenet1_1")["features.0.weight"].shape == (64, 3, 3, 3)
