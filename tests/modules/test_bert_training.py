"""How an encoder of texts is trained: what learns, at which rate, from which weights."""

import shutil

import pytest
import torch
from torch.utils.data import DataLoader
from transformers import AutoModel

from nnzoo import BertClassifier, BertMultilabelClassifier, BertRegressor, InputError
from nnzoo.nets.layers import is_decayed
from support import encoders


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(encoders.save(tmp_path_factory.mktemp("saved") / "encoder"))


def module(folder, cls=BertClassifier, **settings):
    torch.manual_seed(0)
    own = {} if cls is BertRegressor else {"num_classes": 3}
    return cls(**{"pretrained": folder, **encoders.facts(), **own, "max_length": 40, "lr": 1e-2, **settings})


def loader(count=4, rows=6):
    return DataLoader([encoders.batch(rows=rows, seed=seed) for seed in range(count)], batch_size=None)


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items() if name.startswith("net.")}


def changed(model, before):
    """Names of the weights that differ, without net.model."""
    return {
        name.removeprefix("net.model.")
        for name, value in weights(model).items()
        if not torch.equal(value, before[name])
    }


def test_a_fit_begins_with_the_pretrained_weights_once(folder, make_trainer):
    model = module(folder, tuning="frozen")
    theirs = AutoModel.from_pretrained(folder).state_dict()
    assert not torch.equal(model.net.model.bert.pooler.dense.weight, theirs["pooler.dense.weight"])
    make_trainer(max_epochs=1).fit(model, loader())
    base = model.net.model.bert.state_dict()
    assert all(torch.equal(base[name], value) for name, value in theirs.items())
    model.net.learn_from(0)
    with torch.no_grad():
        model.net.model.bert.pooler.dense.weight.zero_()
    make_trainer(max_epochs=1).fit(model, loader())
    assert float(model.net.model.bert.pooler.dense.weight.abs().max()) < 0.1, "what was learned is not loaded over"


def test_from_scratch_has_the_shape_and_other_weights(folder, make_trainer):
    model = module(folder, from_scratch=True, lr=1e-9)
    before = weights(model)
    make_trainer(max_epochs=1).fit(model, loader())
    theirs = AutoModel.from_pretrained(folder).state_dict()
    for name, value in model.net.model.bert.state_dict().items():
        assert value.shape == theirs[name].shape
        torch.testing.assert_close(value, before[f"net.model.bert.{name}"], rtol=0, atol=1e-6)


def test_a_checkpoint_loads_without_the_folder_or_a_network(tmp_path, make_trainer, monkeypatch):
    folder = encoders.save(tmp_path / "gone")
    model = module(str(folder))
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, loader())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    shutil.rmtree(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = BertClassifier.load_from_checkpoint(tmp_path / "x.ckpt", map_location="cpu")
    texts = ["a fine film", "cold and long"]
    assert torch.equal(loaded.predict_texts(texts), model.predict_texts(texts))
    make_trainer(max_epochs=1).fit(loaded, loader())  # goes on with its own weights
    with pytest.raises(InputError, match="There is no folder"):
        module(str(folder))


@pytest.mark.parametrize(("settings", "learned"), [
    ({"tuning": "frozen"}, {"classifier"}),
    ({"tuning": "last", "last_layers": 1}, {"classifier", "bert.pooler", "bert.encoder.layer.1"}),
    ({"tuning": "full"}, {"classifier", "bert.pooler", "bert.encoder.layer.1", "bert.encoder.layer.0",
                          "bert.embeddings"}),
])  # fmt: skip
def test_what_is_frozen_stays_to_the_bit_and_is_not_in_the_optimiser(folder, make_trainer, settings, learned):
    model = module(folder, **settings, weight_decay=0.1)
    model.load_pretrained()
    before = weights(model)
    trainer = make_trainer(max_epochs=2)
    trainer.fit(model, loader())
    names = changed(model, before)
    assert {part for part in learned if any(name.startswith(part) for name in names)} == learned
    assert all(any(name.startswith(part) for part in learned) for name in names)
    held = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert held == {
        id(p) for name, p in model.named_parameters() if any(name.startswith(f"net.model.{x}") for x in learned)
    }


def test_adapters_and_head_alone_learn(folder, make_trainer):
    model = module(folder, tuning="lora", lora_rank=2)
    model.load_pretrained()
    before = weights(model)
    make_trainer(max_epochs=1).fit(model, loader())
    names = changed(model, before)
    assert names
    assert all(".lora_" in name or name.startswith("classifier") for name in names)
    counted = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert counted == 2 * 2 * 2 * 32 + 16 * 3 + 3  # query and value, as peft's own for a BERT


def test_a_checkpoint_of_adapters_loads(folder, make_trainer, tmp_path):
    model = module(folder, tuning="lora")
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, loader())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = BertClassifier.load_from_checkpoint(tmp_path / "x.ckpt", map_location="cpu")
    assert torch.equal(loaded.predict_texts(["fine"]), model.predict_texts(["fine"]))


def test_a_pooler_without_pretrained_weights_learns_with_the_head(tmp_path, make_trainer):
    model = module(str(encoders.save(tmp_path / "masked", auto="AutoModelForMaskedLM")), tuning="frozen")
    model.load_pretrained()
    before = weights(model)
    make_trainer(max_epochs=1).fit(model, loader())
    assert {name.rpartition(".")[0] for name in changed(model, before)} == {"bert.pooler.dense", "classifier"}


def test_rates_and_decay_by_depth_are_those_by_hand(folder, make_trainer):
    model = module(folder, lr=0.8, layer_decay=0.5, weight_decay=0.01)
    trainer = make_trainer(max_epochs=1, limit_train_batches=1)
    trainer.fit(model, loader(1))
    names = {id(p): name.removeprefix("net.model.") for name, p in model.named_parameters()}
    found = {names[id(p)]: (group["lr"], group["weight_decay"])
             for group in trainer.optimizers[0].param_groups for p in group["params"]}  # fmt: skip
    assert len(found) == len(names)
    assert found["bert.embeddings.word_embeddings.weight"] == (pytest.approx(0.05), 0.01)
    assert found["bert.encoder.layer.0.output.LayerNorm.weight"] == (pytest.approx(0.1), 0.0)
    assert found["bert.encoder.layer.1.output.dense.weight"] == (pytest.approx(0.2), 0.01)
    assert found["bert.pooler.dense.bias"] == (pytest.approx(0.4), 0.0)
    assert found["classifier.weight"] == (pytest.approx(0.8), 0.01)
    for name, parameter in model.net.model.named_parameters():
        assert (found[name][1] > 0) == is_decayed(parameter) == (parameter.dim() > 1), name


def test_warming_up_counts_steps_of_the_optimiser_and_keeps_the_shares(folder, make_trainer):
    rates = []

    class Recording(BertClassifier):
        def optimizer_step(self, *args, **kwargs):
            rates.append([group["lr"] for group in self.trainer.optimizers[0].param_groups])
            super().optimizer_step(*args, **kwargs)

    model = module(folder, Recording, lr=1.0e-3, layer_decay=0.5, lr_schedule="linear", lr_warmup=0.4)
    make_trainer(max_epochs=2, accumulate_grad_batches=2).fit(model, loader(5))
    by_step = [row[0] for row in rates]
    # Three steps an epoch, the last of one batch; 0.4 of six are two.
    assert len(by_step) == 6
    assert by_step == pytest.approx([0.5e-3, 1e-3, 1e-3, 0.75e-3, 0.5e-3, 0.25e-3])
    for row in rates:
        assert [rate / row[0] for rate in row] == pytest.approx([1, 0.5, 0.25, 0.125, 0.0625])


@pytest.mark.parametrize("cls", [BertClassifier, BertMultilabelClassifier, BertRegressor])
def test_the_loss_of_several_batches_of_a_step_is_that_of_the_whole(folder, make_trainer, cls):
    """Whatever the padding and the classes of each batch."""
    whole = encoders.batch(rows=8)
    whole["labels"] = {BertClassifier: whole["labels"], BertMultilabelClassifier: torch.eye(3)[whole["labels"]],
                       BertRegressor: torch.randn(8)}[cls]  # fmt: skip
    parts = [{name: values[i : i + 2] for name, values in whole.items()} for i in range(0, 8, 2)]
    parts[1] = encoders.padded(parts[1]) | {"labels": parts[1]["labels"]}
    after = []
    for batches, count in (([whole], 1), (parts, 4)):
        dropouts = {"dropout": 0.0, "encoder_dropout": 0.0}
        model = module(folder, cls, optimizer="sgd", momentum=0.0, lr=0.1, **dropouts)
        if cls is not BertRegressor:
            model.class_weight = torch.tensor([1.0, 3.0, 0.5])
        make_trainer(max_epochs=1, accumulate_grad_batches=count).fit(model, DataLoader(batches, batch_size=None))
        after.append(weights(model))
    for name, value in after[0].items():
        torch.testing.assert_close(after[1][name], value, rtol=1e-4, atol=1e-5)


class Watched(BertClassifier):
    """Notes at each step which parts learn and how many steps Adam has made with a weight of each."""

    def on_train_batch_end(self, *args):
        optimizer = self.trainer.optimizers[0]
        parts = ("classifier.weight", "bert.pooler.dense.weight", "bert.encoder.layer.1.output.dense.weight",
                 "bert.encoder.layer.0.output.dense.weight", "bert.embeddings.word_embeddings.weight")  # fmt: skip
        found = (self.net.model.get_parameter(part) for part in parts)
        self.seen = [
            *getattr(self, "seen", []),
            [int(optimizer.state[p]["step"]) if p in optimizer.state else 0 for p in found],
        ]


def test_gradual_unfreezing_opens_from_above_and_sets_nothing_back(folder, make_trainer):
    model = module(folder, Watched, tuning="gradual", weight_decay=0.1, dropout=0.0, encoder_dropout=0.0)
    model.load_pretrained()
    before = weights(model)
    trainer = make_trainer(max_epochs=5)
    trainer.fit(model, loader(2))
    assert model.seen[1::2] == [[2, 0, 0, 0, 0], [4, 2, 2, 0, 0], [6, 4, 4, 2, 0], [8, 6, 6, 4, 2], [10, 8, 8, 6, 4]]
    assert "bert.embeddings.word_embeddings.weight" in changed(model, before)
    short = module(folder, tuning="gradual", unfreeze_every=2, weight_decay=0.1)
    short.load_pretrained()
    before = weights(short)
    make_trainer(max_epochs=3).fit(short, loader(2))
    assert {name.rpartition(".")[0] for name in changed(short, before)} & {"bert.pooler.dense"}
    assert not [name for name in changed(short, before) if "layer.0" in name or "embeddings" in name]


def test_a_resumed_fit_with_gradual_unfreezing_ends_with_the_same_bits(folder, make_trainer, tmp_path):
    settings = {"tuning": "gradual", "dropout": 0.0, "encoder_dropout": 0.0, "weight_decay": 0.1}
    whole = module(folder, **settings)
    make_trainer(max_epochs=4).fit(whole, loader(2))
    trainer = make_trainer(max_epochs=2)
    trainer.fit(module(folder, **settings), loader(2))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    resumed = module(folder, **settings)
    make_trainer(max_epochs=4).fit(resumed, loader(2), ckpt_path=tmp_path / "x.ckpt", weights_only=True)
    for name, value in weights(whole).items():
        assert torch.equal(weights(resumed)[name], value), name


def test_gradual_unfreezing_on_several_devices_is_refused(folder, make_trainer):
    model = module(folder, tuning="gradual")
    trainer = make_trainer(max_epochs=1)
    model._trainer = trainer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(trainer), "world_size", 2)
        with pytest.raises(InputError, match="Gradual unfreezing works on one device"):
            model.setup("fit")


def test_the_tokenizer_of_another_model_is_refused(folder, tmp_path):
    from nnzoo.data.text.tokenizer import trained_tokenizer

    other = encoders.facts(trained_tokenizer(["other words altogether"] * 3, "wordpiece", 90))
    with pytest.raises(InputError, match=r"is not that of .*encoder, whose weights know its own tokens only"):
        module(folder, **other)
    assert module(folder, from_scratch=True, **other).hparams["config"]["vocab_size"] == other["vocab_size"]
    bare = str(encoders.save(tmp_path / "bare", with_tokenizer=False))
    module(bare)  # there is nothing to compare
    with pytest.raises(InputError, match=r"has 300 tokens, .*bare knows 120"):
        module(bare, vocab_size=300)


@pytest.mark.parametrize(("settings", "message"), [
    ({"pretrained": None}, "no model to begin with: set --model.pretrained"),
    ({"max_length": 41}, r"may have 41 tokens, the model reads 40: set --data\.max_length 40"),
    ({"tuning": "last", "last_layers": 3}, "has 2 layers: set --model.last_layers to 2"),
    ({"last_layers": 1}, "last_layers does nothing with tuning full"),
    ({"tuning": "frozen", "layer_decay": 0.9}, "layer_decay does nothing with tuning frozen"),
    ({"tuning": "frozen", "encoder_dropout": 0.1}, "encoder_dropout does nothing with tuning frozen"),
    ({"lora_rank": 4}, "lora_rank does nothing with tuning full"),
    ({"tuning": "frozen", "from_scratch": True}, "would leave random weights as they are"),
    ({"layer_decay": 1.2}, "layer_decay goes from above 0 to 1"),
    ({"dropout": 1.0}, "dropout is a share"),
    ({"tuning": "half"}, "There is no tuning 'half'"),
    ({"tuning": "lora", "lora_targets": ["q_proj"]}, "no layer q_proj"),
])  # fmt: skip
def test_what_cannot_be_is_refused(folder, settings, message):
    with pytest.raises(InputError, match=message):
        module(folder, **settings)
