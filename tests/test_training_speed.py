"""The times of training steps: how they are taken, what is made of them, and the table they end up in."""

import dataclasses
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from benchmarks import __main__ as command
from benchmarks import families, fits, loops, measure, measuring, peers, results, steps

from nnzoo import (
    DDPM,
    VAE,
    Autoencoder,
    GraphSetDataModule,
    ImageDataModule,
    Seq2Seq,
    SequenceTagger,
    TabularDataModule,
)
from nnzoo.tokens import IGNORED

IMAGES = {"in_shape": (1, 8, 8), "lr_schedule": "cosine"}
LENGTHS = torch.tensor([3, 5])


def times(*spans):
    """A clock that has moved on by so much at the second, the fourth ... look."""
    now = 0.0
    for span in spans:
        yield now
        now += span
        yield now


def test_a_steps_time_is_the_mean_of_all_epochs_but_the_first():
    watch = measuring.Stopwatch(5, clock=times(90.0, 4.0, 6.0).__next__)
    for _ in range(3):
        watch.start()
        watch.stop()
        watch.stop()  # as at the end of an epoch whose training was over before
    assert watch.epochs == [90.0, 4.0, 6.0]
    assert watch.seconds == (4.0 + 6.0) / (2 * 5)


def test_contenders_take_turns_forwards_and_backwards():
    order = []
    contenders = {name: lambda name=name: order.append(name) or len(order) for name in "abc"}
    assert measuring.interleaved(contenders, 3) == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}
    assert "".join(order) == "abccbaabc"


def test_ratios_and_differences_are_those_of_one_round():
    bare, own = [1e-3, 2e-3, 3e-3, 4e-3, 5e-3], [2e-3, 4e-3, 4e-3, 4e-3, 4e-3]
    found = measuring.compared({"bare": bare, "own": own}, "bare")
    assert found["bare"]["microseconds"] == {"median": 3000, "lower_quartile": 2000, "upper_quartile": 4000}
    assert found["bare"]["ratio"] == {"median": 1, "lower_quartile": 1, "upper_quartile": 1}
    assert found["own"]["ratio"] == {"median": 0.75, "lower_quartile": 0.5, "upper_quartile": 1}
    assert found["own"]["overhead"] == {"median": 1000, "lower_quartile": 0, "upper_quartile": 1000}
    assert found["own"]["rounds"] == [2000, 4000, 4000, 4000, 4000]


def cases():
    """Each loss by hand: what builds it, the module that has it too, a batch of the data, and what prepares it."""
    images, labels = torch.rand(6, 1, 8, 8), torch.arange(6)
    sequences = (torch.rand(2, 5, 3), LENGTHS, torch.rand(2, 5, 4).round())
    for row, length in enumerate(LENGTHS):
        sequences[2][row, length:] = IGNORED
    strings = (torch.randint(4, 9, (2, 5)), LENGTHS, torch.tensor([[1, 5, 6, 2], [1, 5, 2, 0]]))
    pictures = {"latent_dim": 2, "architecture": "mlp", "hidden": [8], **IMAGES}
    bernoulli = VAE(likelihood="bernoulli", levels=2, **pictures)
    yield "vae", steps.variational, bernoulli, (images.round(), labels), steps.images_alone
    noisy = Autoencoder(noise="gaussian", noise_level=0.3, loss="mse", **pictures)
    yield "autoencoder", steps.denoising, noisy, (images, labels), steps.images_alone
    tagger = SequenceTagger(num_inputs=3, num_classes=4, multilabel=True, head_dropout=0.3)
    yield "tagger", steps.supervised(steps.label_likelihood), tagger, sequences, steps.split
    yield "seq2seq", steps.supervised(steps.characters), Seq2Seq(), strings, steps.with_target
    chain = DDPM(channels=8, channel_mult=(1,), timesteps=30, levels=17, **IMAGES)
    yield "ddpm", steps.diffusion, chain, (images, labels), steps.centred


@pytest.mark.parametrize("name", ["vae", "autoencoder", "tagger", "seq2seq", "ddpm"])
def test_the_loop_by_hand_minimises_what_the_module_does(name, monkeypatch):
    build, module, batch, prepare = {name: rest for name, *rest in cases()}[name]
    losses = []
    monkeypatch.setattr(steps, "gradient_step", lambda loss, *_: losses.append(loss) or (lambda batch: None))
    setting = loops.Setting(module.train(), [[prepare(module, batch)]], None, 2)
    monkeypatch.setattr(setting, "fresh", lambda: module)
    build(setting)
    torch.manual_seed(0)
    found = losses[0](setting.epochs[0][0])
    torch.manual_seed(0)
    assert found.item() == pytest.approx(module.contract_loss(batch).item(), rel=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_step_by_hand_is_torchs_adamw_with_a_schedule_and_clipping(decay):
    hparams = {"lr": 0.1, "weight_decay": decay, "lr_schedule": "linear", "lr_warmup": 0.0}
    net, same = torch.nn.Linear(3, 1, bias=False), torch.nn.Linear(3, 1, bias=False)
    same.load_state_dict(net.state_dict())
    batches = list(torch.randn(4, 5, 3))
    setting = loops.Setting(SimpleNamespace(hparams=hparams), [batches[:2], batches[2:]], 0.5, 5)
    step = loops.gradient_step(lambda x: net(x).square().mean(), list(net.parameters()), setting)
    assert loops.loop_time(step, setting) > 0
    optimizer = torch.optim.AdamW(same.parameters(), lr=0.1, weight_decay=decay)
    for number, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - number / 4)
        optimizer.zero_grad()
        same(batch).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(same.parameters(), 0.5)
        optimizer.step()
    torch.testing.assert_close(net.weight, same.weight)


def listed(module, batch):
    """The tensors of a batch."""
    return list(batch.to_dict().values() if hasattr(batch, "to_dict") else batch)


@pytest.mark.parametrize("data_class", [TabularDataModule, ImageDataModule, GraphSetDataModule])
def test_contenders_get_the_batches_that_the_recipe_has(data_class):
    data = data_class(**({"shift": 0.1} if data_class is ImageDataModule else {}), batch_size=32)
    data.setup("fit")
    setting = loops.setting_of(SimpleNamespace(data=data, module=torch.nn.Identity(), clip=None), 3, 2, listed)
    loader = data.train_dataloader()
    for batches in setting.epochs:
        wanted = [listed(None, batch) for batch in islice(loader, 3)]
        torch.testing.assert_close(batches, wanted, rtol=0, atol=0)
    passes = loops.Passes(setting, lambda batch: batch)
    assert len(passes) == 3
    assert [[id(b) for b in passes] for _ in range(3)] == [[id(b) for b in setting.epochs[k]] for k in (0, 1, 0)]


def missing(setting):
    raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")


def broken(setting):
    raise ValueError("too\nold")


def test_a_family_is_measured_with_the_peers_that_are_there(monkeypatch, in_tmp):
    known = {"peer": lambda setting: 1e-3, "missing": missing, "broken": broken}
    family = dataclasses.replace(families.FAMILIES["mlp_digits"], peers=known)
    monkeypatch.setitem(families.FAMILIES, "mlp_digits", family)
    command.main(["--family", "mlp_digits", "--rounds", "1", "--steps", "2", "--results", str(in_tmp)])
    result = results.read(families.FAMILIES, in_tmp)["mlp_digits"]
    assert (result["steps"], result["rounds"], result["batch_size"]) == (2, 1, 32)
    assert list(result["contenders"]) == ["bare loop", "nnzoo", "peer"]
    assert all(found["microseconds"]["median"] > 0 for found in result["contenders"].values())
    assert result["contenders"]["peer"]["rounds"] == [1000]
    assert result["absent"] == {
        "missing": "elsewhere is not installed: `python -m benchmarks peers FOLDER` installs the peers.",
        "broken": "It does not run here (ValueError: too old).",
    }
    assert result["versions"]["torch"]
    assert [path.name for path in in_tmp.glob("*.json*")] == ["mlp_digits.json"]


def test_the_clock_asks_for_no_batches():
    """A callback with hooks for batches may change how the loop goes through them."""
    assert not [name for name in vars(fits.Clock) if "batch" in name]


def test_what_cannot_be_measured_is_named(monkeypatch, capsys, in_tmp):
    def absent(*args, **kwargs):
        raise command.InputError("MNIST is not there.")

    monkeypatch.setattr(measure, "fit", absent)
    command.main(["--family", "vae_mnist", "--results", str(in_tmp)])
    assert capsys.readouterr().out == "VAE, MNIST is left out: MNIST is not there.\n"
    for args in (["tables"], ["peers"], ["--peers", "nowhere"], ["--family", "none"]):
        with pytest.raises(SystemExit):
            command.main(args)


def test_the_peers_get_a_folder_of_their_own(tmp_path):
    (tmp_path / "thesis.tex").touch()
    for taken in (tmp_path, Path(sys.prefix)):
        with pytest.raises(command.InputError, match="name an empty folder"):
            peers.install(taken)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert any(Path(torch.__file__).is_relative_to(path) for path in peers.borrowed()), "torch comes along"


def test_the_table_is_that_of_the_results():
    found = results.read(families.FAMILIES)
    assert {path.stem for path in results.RESULTS.glob("*.json")} == set(found), "a result of no family"
    text = results.TABLE.read_text(encoding="utf-8")
    assert results.with_table(text, results.table(found)) == text
    for name, result in found.items():
        assert result["rounds"] >= 7, name
        rounds = {one: [us / 1e6 for us in own["rounds"]] for one, own in result["contenders"].items()}
        assert all(len(own) == result["rounds"] for own in rounds.values())
        for one, own in measuring.compared(rounds, results.BARE).items():
            for kind, wanted in result["contenders"][one].items():
                assert own[kind] == pytest.approx(wanted, rel=1e-3, abs=0.3), (name, one, kind)


def test_a_row_shows_the_figures_and_the_best_peer_first():
    contenders = {"bare loop": [1e-3] * 3, "nnzoo": [2e-3] * 3, "slow": [4e-3] * 3, "quick": [1e-3] * 3}
    result = {"title": "MLP", "batch_size": 8, "contenders": measuring.compared(contenders, "bare loop")}
    assert results.row(result) == ["MLP (8)", "1,000", "2,000", "1,000", "0.50 [0.50, 0.50]", "quick 1.00, slow 0.25"]
    text = results.with_table(f"before\n{results.BEGIN}old\n{results.END}after\n", results.table({"mlp": result}))
    assert text.startswith(f"before\n{results.BEGIN}\n| family (batch) |")
    assert text.endswith(f"| quick 1.00, slow 0.25 |\n\n{results.END}after\n")
    assert "old" not in text
