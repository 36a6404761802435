"""Models that are too large are refused while they are built."""

from pathlib import Path

import pandas as pd
import pytest
from nnzoo.recipes import autoencoder, mlp, rnn, seq2seq, vae
from torch import nn

import nnzoo.run.memory as memory_module
from nnzoo import InputError, LoRACausalLM
from nnzoo.nets.layers import frozen_later
from nnzoo.run.memory import total_memory, within_memory
from support import decoders
from support.runs import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture
def with_memory(monkeypatch):
    return lambda size: monkeypatch.setattr(memory_module, "total_memory", lambda: size)


@pytest.mark.parametrize(("copies", "numbers"), [(1, 220), (4, 880)])
def test_all_weights_count_as_often_as_they_are_held(with_memory, copies, numbers):
    def build():
        with within_memory(copies):
            nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))

    with_memory(4 * numbers)
    build()
    with_memory(4 * numbers - 1)
    with pytest.raises(InputError, match="with 10 weights of a Linear it takes"):
        build()


def test_weights_of_several_layers_count_once_and_those_of_no_shape_yet_not_at_all(with_memory):
    with_memory(4 * 110)
    with within_memory(1):
        first, second, _ = nn.Linear(10, 10), nn.Linear(0, 0), nn.LazyLinear(1000)
        second.weight, second.bias = first.weight, first.bias
        second.register_parameter("none", None)


def test_weights_that_are_frozen_count_once_and_those_that_replace_others_alone(with_memory):
    with_memory(4 * (110 + 4 * 22))

    def build(outputs, frozen=True):
        with within_memory(4):
            with frozen_later():
                base = nn.Linear(10, 10)
                base.bias = nn.Parameter(base.bias.detach().clone())
            return base.requires_grad_(not frozen), nn.Linear(10, outputs)

    build(2)
    with pytest.raises(InputError, match="with 3 x 10 weights of a Linear it takes"):
        build(3)
    with pytest.raises(InputError, match="with what its weights need in training"):
        build(1, frozen=False)


def test_a_base_counts_once_beside_its_adapter(with_memory, tmp_path):
    base = str(decoders.save(tmp_path / "base"))
    with within_memory(4):
        sizes = {learns: sum(p.numel() for p in LoRACausalLM(pretrained=base).parameters() if p.requires_grad is learns)
                 for learns in (True, False)}  # fmt: skip
    needed = 4 * (sizes[False] + 4 * sizes[True])
    assert sizes[False] > 4 * sizes[True]
    with_memory(needed)
    with within_memory(4):
        module = LoRACausalLM(pretrained=base)
    with_memory(needed - 1)
    with pytest.raises(InputError, match="The model is too large"), within_memory(4):
        module = LoRACausalLM(pretrained=base)
    del module


def test_afterwards_nothing_is_counted(with_memory):
    with_memory(8)
    with within_memory(1):
        pass
    nn.Linear(10, 10)
    with pytest.raises(InputError), within_memory(1):
        nn.Linear(10, 10)
    nn.Linear(10, 10)


def test_a_layer_is_refused_before_its_weights_are_drawn(with_memory, monkeypatch):
    with_memory(2**30)
    drawn = []
    monkeypatch.setattr(nn.Linear, "reset_parameters", drawn.append)
    with (
        pytest.raises(
            InputError, match=r"with 20,000 x 20,000 weights of a Linear it takes 1 GiB, and there are 1 GiB"
        ),
        within_memory(1),
    ):
        nn.Linear(20_000, 20_000)
    assert drawn == []


def test_other_errors_pass():
    with pytest.raises(TypeError, match="missing"), within_memory(1):
        nn.Linear()


def test_data_that_do_not_fit_into_memory_are_no_matter_of_the_layers(ends_with, in_tmp, monkeypatch):
    """The model takes facts of the data, which are so read while it is built."""
    Path("pairs.csv").write_text("source,target\n" + "".join(f"{number},{number}\n" for number in range(100)))

    def read_csv(*args, **settings):
        raise MemoryError("Unable to allocate 40.0 GiB for an array")

    monkeypatch.setattr(pd, "read_csv", read_csv)
    sentence = ends_with([*QUICK, "--data.csv", "pairs.csv"], seq2seq.main)
    assert sentence.startswith("There is not enough memory: lower --data.batch_size")


def test_where_the_system_does_not_say_nothing_is_refused(with_memory):
    with_memory(None)
    with within_memory(4):
        nn.Linear(1000, 1000)


def test_the_memory_is_that_of_the_machine_or_of_the_container(monkeypatch):
    whole = total_memory()
    assert 2**28 < whole < 2**50
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    monkeypatch.setattr(Path, "read_text", lambda self: "1048576\n")
    assert total_memory() == 2**20
    monkeypatch.setattr(Path, "read_text", lambda self: "max\n")
    assert total_memory() == whole


@pytest.mark.parametrize("size", [10**8, 10**13, 10**18, 10**25])
@pytest.mark.parametrize(
    ("recipe", "option"), [(mlp, "hidden"), (autoencoder, "hidden"), (vae, "latent_dim"), (rnn, "hidden_size")]
)
def test_absurd_sizes_end_in_a_sentence_and_leave_no_folder(with_memory, ends_with, in_tmp, recipe, option, size):
    with_memory(2**33)
    value = f"[{size}]" if option == "hidden" else str(size)
    sentence = ends_with([*QUICK, f"--model.{option}", value], recipe.main)
    assert sentence.startswith("The model is too large")
    assert sentence.endswith("set smaller sizes of its layers.")
    assert not Path("runs").exists()


def test_training_on_a_cpu_takes_more_than_testing(with_memory, ends_with, smoke_run, in_tmp):
    checkpoint = smoke_run("vae").folder / "best.ckpt"
    with_memory(2 * 4 * 193_696)  # twice the weights
    assert "in training, and there are" in ends_with(QUICK)
    vae.main(["test", "--ckpt_path", str(checkpoint), *QUICK, "--model.num_nll_samples", "1"])
