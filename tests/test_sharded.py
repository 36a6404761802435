"""Weights in pieces on two processes (the overlay fsdp): they learn what those of one do, and load everywhere."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nnzoo import BertClassifier, InputError, LoRACausalLM, MLPRegressor
from nnzoo.modules.sharded import keep_shapes, size_of
from nnzoo.nets.layers import is_decayed
from nnzoo.run.sharded_strategy import ShardedStrategy
from support import decoders, encoders
from support.forked import run_ranks
from support.found import CONFIGS, case, model_class, module_name, run

pytestmark = pytest.mark.filterwarnings("ignore:.*")
TEXTS = ("bert", "mlm", "clm", "lora")
FLAGS = [
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.limit_train_batches", "3"),
    *("--trainer.limit_val_batches", "1", "--trainer.limit_test_batches", "2", "--baselines", "null"),
    # What depends on whole weights: which of them decay, and the norm of all gradients.
    *("--model.lr", "0.01", "--model.lr_schedule", "constant", "--model.lr_warmup", "0"),
    *("--model.weight_decay", "1", "--trainer.gradient_clip_val", "0.1"),
    *("--checkpoint.monitor", "step", "--checkpoint.mode", "max"),  # both test the last weights
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "lora"])
def test_two_processes_with_pieces_end_with_the_weights_of_one_and_go_on_from_a_checkpoint(name, in_tmp):
    flags = [*FLAGS, *case(name).shorter_flags, *case(name).quicker_flags, *case(name).noiseless]
    one = ["--trainer.max_epochs", "2", "--trainer.default_root_dir", "one", "--figures.draw", "false"]
    expected = run(name, [*flags, *one])
    pieces = [*flags, "--config", "fsdp", "--trainer.accelerator", "cpu", "--trainer.devices", "2"]
    first = [*pieces, "--trainer.max_epochs", "1", "--trainer.default_root_dir", "two"]
    checked(run_ranks([module_name(name), "fit", *first]))
    (saved,) = Path("two").rglob("last.ckpt")
    further = [*pieces, "--trainer.max_epochs", "2", "--trainer.default_root_dir", "three", "--ckpt_path", str(saved)]
    checked(run_ranks([module_name(name), *further]))

    ones, twos = (torch.load(last(at), weights_only=True)["state_dict"] for at in ("one", "three"))
    assert ones.keys() == twos.keys(), "of an adapter its own alone"
    # A softmax does not see what a bias adds to all keys: its gradient is 0 but for rounding, which AdamW makes a step.
    for key in (key for key in ones if not key.endswith("key.bias")):
        mine, theirs = ones[key].double(), twos[key].double()
        assert mine.shape == theirs.shape
        assert (mine - theirs).norm() <= 1e-3 * mine.norm() + 1e-4 * mine.numel() ** 0.5, key
    loaded = model_class(name).load_from_checkpoint(last("three"), map_location="cpu").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in twos.items())
    (table,) = Path("three").rglob("metrics.csv")
    assert values(table, "test/loss") == [pytest.approx(expected["test/loss"], rel=0.01)]


def checked(results):
    assert all(result.returncode == 0 for result in results), results[0].stderr + results[-1].stderr


def last(folder):
    (path,) = Path(folder).rglob("last.ckpt")
    return path


def values(table, column):
    names, *rows = (line.split(",") for line in table.read_text().splitlines())
    return [float(row[names.index(column)]) for row in rows if row[names.index(column)]]


@pytest.mark.parametrize("name", TEXTS)
def test_the_overlay_wraps_the_layers_of_models_of_text(name, capsys):
    with pytest.raises(SystemExit) as end:
        run(name, ["--config", "fsdp", "--print_config"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "ShardedStrategy" in shown
    assert "GradientCheckpointingLayer" in shown


@pytest.mark.parametrize(("save", "kind"), [(encoders.save, kind) for kind in ("bert", "distilbert", "electra")]
                         + [(decoders.save, kind) for kind in ("gpt2", "llama")])  # fmt: skip
def test_all_layers_are_of_the_class_that_the_overlay_names(tmp_path, save, kind):
    import transformers
    from transformers.modeling_layers import GradientCheckpointingLayer

    assert "GradientCheckpointingLayer" in CONFIGS["fsdp"].read_text()
    model = transformers.AutoModel.from_pretrained(save(tmp_path / kind, kind))
    assert sum(isinstance(part, GradientCheckpointingLayer) for part in model.modules()) == 2


def test_a_weight_in_pieces_decays_and_is_counted_as_the_whole_one():
    layer = nn.Linear(3, 4)
    keep_shapes(layer.parameters())
    for parameter in layer.parameters():
        parameter.data = parameter.data.flatten()[:2]
    assert [is_decayed(parameter) for parameter in (layer.weight, layer.bias)] == [True, False]
    assert [size_of(parameter) for parameter in (layer.weight, layer.bias)] == [12, 4]


def prepared(module):
    """A module that is about to be divided."""
    module._trainer = SimpleNamespace(strategy=ShardedStrategy(), state=SimpleNamespace(fn="test"))
    module.configure_model()


def test_what_cannot_be_divided_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"MLPRegressor are not made to be divided .* take --config multi_gpu"):
        prepared(MLPRegressor(num_numeric=3))
    folder = str(encoders.save(tmp_path / "encoder"))
    with pytest.raises(InputError, match="l1 and l2 need whole weights"):
        prepared(BertClassifier(pretrained=folder, num_classes=3, l2=0.1, **encoders.facts()))
    with pytest.raises(InputError, match=r"these are bfloat16 and float32: leave out --model\.base_precision"):
        prepared(LoRACausalLM(pretrained=str(decoders.save(tmp_path / "base")), base_precision="bfloat16"))
    prepared(BertClassifier(pretrained=folder, num_classes=3, **encoders.facts()))
