import pytest
import torch

from nnzoo import VAE, Autoencoder, InputError
from nnzoo.data.facts import fact, held
from nnzoo.run.checkpoint import CLASS_KEY, FACTS_KEY, public_name
from nnzoo.run.compatibility import check_checkpoint, check_data, check_model


class Data:
    def __init__(self, size=3, columns=("a", "b"), scale=1.0):
        self._size, self._columns, self._scale = size, columns, scale

    @held("set --data.size to match")
    def size(self):
        """Size."""
        return self._size

    @held("give the same columns")
    def columns(self):
        """Names."""
        return self._columns

    @fact
    def scale(self):
        """May differ."""
        return self._scale


class Mine(VAE):
    pass


@pytest.fixture
def saved(tmp_path):
    def save(**contents):
        torch.save({"state_dict": {}, **contents}, tmp_path / "x.ckpt")
        return tmp_path / "x.ckpt"

    return save


def test_classes_are_named_as_they_are_imported():
    assert public_name(VAE) == "nnzoo.VAE"
    assert public_name(Mine) == f"{__name__}.Mine"


def test_a_checkpoint_of_none_of_a_recipes_classes_is_refused(saved):
    path = saved(**{CLASS_KEY: "nnzoo.VAE"})
    check_checkpoint(path, [Autoencoder, VAE])
    check_checkpoint(path, [Mine])
    with pytest.raises(InputError, match=r"was saved by nnzoo\.VAE, but this recipe trains Autoencoder"):
        check_checkpoint(path, [Autoencoder])
    check_checkpoint(saved(**{CLASS_KEY: public_name(Mine)}), [VAE])
    check_checkpoint(saved(), [VAE])
    with pytest.raises(InputError, match=r"was saved by gone\.Model, which cannot be imported"):
        check_checkpoint(saved(**{CLASS_KEY: "gone.Model"}), [VAE])


def test_a_checkpoint_of_another_class_than_the_settings_make_is_refused(saved):
    check_model(saved(**{CLASS_KEY: "nnzoo.VAE"}), Mine)
    with pytest.raises(InputError, match="these settings make a VAE: give the data that it was trained on, or --model"):
        check_model(saved(**{CLASS_KEY: public_name(Mine)}), VAE)


@pytest.mark.parametrize("key", ["hyper_parameters", FACTS_KEY])
def test_all_facts_that_a_checkpoint_is_held_to_and_that_differ_are_named_with_their_remedies(saved, key):
    """Also those that the model has no parameter for."""
    path = saved(**{key: {"size": 3, "columns": ["a", "b"], "scale": 1.0}})
    check_data(path, Data(scale=2.0))
    check_data(path, Data(columns=["a", "b"]))
    check_data(path, object())
    with pytest.raises(InputError) as error:
        check_data(path, Data(4, ["b", "a"]))
    assert "with size 3 and columns a, b, these have size 4 and columns b, a: " in str(error.value)
    assert str(error.value).endswith(": set --data.size to match; give the same columns.")


def test_long_facts_are_compared_whole_and_shown_short(saved):
    names = [f"column {number}" for number in range(40)]
    path = saved(**{FACTS_KEY: {"columns": names}})
    with pytest.raises(InputError) as error:
        check_data(path, Data(columns=[*names[:-1], "other"]))
    assert len(str(error.value)) < 400
