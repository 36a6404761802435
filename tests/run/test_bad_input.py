"""Bad input ends with one sentence and exit code 1 or 2, no traceback, and leaves earlier results intact."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from nnzoo.recipes import autoencoder, mlp, vae
from PIL import Image

from nnzoo.errors import run_main
from support.forked import run_forked
from support.found import CASES, case, recipe
from support.runs import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture
def finished(smoke_run, in_tmp):
    """The folder of a finished run of the VAE, for this test alone."""
    return Path(shutil.copytree(smoke_run("vae").folder, "finished"))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to ..."
        ),
    ],
)
def test_too_little_memory_is_told_in_one_sentence(error, capfd):
    def fail():
        raise error

    with pytest.raises(SystemExit):
        run_main(fail)
    assert "not enough memory: lower --data.batch_size" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--data.dataste", "folder"], "did you mean data.dataset?"),
        (["--model.latnt_dim", "2"], "did you mean model.latent_dim?"),
        (["--model.latent_dim", "0"], "latent_dim must be positive"),
        (["--model.hidden", "[0]"], "hidden must be positive"),
        (["--model.hidden", "64"], "model.hidden: write a list in brackets, such as [64, 32] or [name], got 64."),
        (["--model.lr", "-1"], "set --model.lr"),
        (["--model.architecture", "conv", "--model.hidden", "[8, 8, 8, 8]"], "at most 3 stride-2 stages"),
        (["--model.likelihood", "bernoulli"], "set --data.binarize dynamic"),
        (["--model.conditional", "true", "--data.dataset", "folder", "--data.root", "flat"], "needs classes"),
        (["--model", "nothing.Model"], "nothing"),
        (["--model.lr", "1e30"], "NaN"),
        (["--data.dataset", "mnis"], "'mnist'"),
        (["--data.batch_size", "0"], "set --data.batch_size"),
        (["--data.batch_size", "2.5"], "expected int"),
        (["--data.dataset", "folder"], "needs --data.root"),
        (["--data.dataset", "folder", "--data.root", "absent"], "There is no folder absent"),
        (["--data.dataset", "folder", "--data.root", "empty"], "No images in empty"),
        (["--data.dataset", "folder", "--data.root", "broken"], "bad.png"),
        (["--data.dataset", "folder", "--data.root", "sizes"], "set --data.image_size"),
        (["--data.val_fraction", "1"], "leave something to train on"),
        (["--config", "smok"], "Did you mean smoke?"),
        (["--config", "invalid.yaml"], "not valid YAML"),
        (["--config", "typo.yaml"], "did you mean trainer.max_epochs?"),
        (["--config"], "needs a value"),
        (["--resume", "absent"], "not a run folder"),
        (["--data.root", "flat"], "add --data.dataset folder"),
        (["--trainer.max_epoch", "3"], "did you mean trainer.max_epochs?"),
        (["--model", "VAE2"], "file.Class"),
        (["--ckpt_path", "absent.ckpt"], "There is no checkpoint absent.ckpt"),
        (["--ckpt_path", "text.ckpt"], "truncated, damaged or no checkpoint"),
        (["--ckpt_path", "old.ckpt"], "was saved by Lightning 1.6.0"),
        (["--trainer.strategy", "nothing"], "invalid strategy"),
        (["--trainer.devices", "2", "--trainer.strategy", "fsdp"], "`fsdp` requires a GPU accelerator"),
        (["--trainer.default_root_dir", "/dev/null"], "Not a directory"),
    ],
)
def test_bad_arguments(flags, says, ends_with, in_tmp):
    for folder in ("empty", "flat", "broken", "sizes"):
        Path(folder).mkdir()
    for number in range(30):
        Image.new("L", (8, 8), number).save(f"flat/{number}.png")
    Image.new("L", (8, 8)).save("broken/good.png")
    Path("broken/bad.png").write_bytes(Path("broken/good.png").read_bytes()[:40])
    Image.new("L", (8, 8)).save("sizes/a.png")
    Image.new("L", (9, 8)).save("sizes/b.png")
    Path("invalid.yaml").write_text("model: [")
    Path("typo.yaml").write_text("trainer: {max_epoch: 3}")
    Path("text.ckpt").write_text("not a checkpoint")
    torch.save({"pytorch-lightning_version": "1.6.0", "state_dict": {}}, "old.ckpt")
    assert says in ends_with([*QUICK, *flags])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["test"], "needs trained weights"),
        (["predict"], "needs trained weights"),
        (["test", "--resume", "runs"], "give --ckpt_path"),
    ],
)
def test_subcommands_without_what_they_need(args, says, ends_with, in_tmp):
    assert says in ends_with(args)


def test_a_checkpoint_of_other_shapes(ends_with, finished):
    sentence = ends_with(["test", "--ckpt_path", str(finished / "best.ckpt"), "--data.image_size", "16"])
    assert "was trained on data with in_shape" in sentence
    assert "--data.image_size" in sentence


def test_a_missing_download_names_the_folder_and_the_way_out(ends_with, in_tmp, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    sentence = ends_with([*QUICK, "--data.dataset", "mnist", "--data.root", "data", "--data.binarize", "none"])
    assert "mnist is not in data" in sentence
    assert "set --data.root" in sentence


def test_a_truncated_checkpoint_and_one_of_another_class(ends_with, finished):
    best = finished / "best.ckpt"
    assert "was saved by nnzoo.VAE" in ends_with(["test", "--ckpt_path", str(best)], autoencoder.main)
    best.write_bytes(best.read_bytes()[:-1000])
    assert "truncated" in ends_with(["test", "--ckpt_path", str(best)])


def test_a_batch_that_does_not_divide_over_the_devices(in_tmp):
    program = ["nnzoo.recipes.vae", *QUICK, "--data.batch_size", "127"]
    # The second process is one that the first starts.
    process = run_forked([*program, "--trainer.devices", "2", "--trainer.strategy", "ddp"])
    assert process.returncode in (1, 2)
    assert process.stderr.count("error:") == 1
    assert "set --data.batch_size 128" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_full_disk_leaves_the_earlier_checkpoints_whole(finished):
    before = {path.name: path.read_bytes() for path in finished.glob("*.ckpt")}
    assert max(map(len, before.values())) > 200_000, "as much as the disk of that program holds"
    process = run_forked(["support.full_disk", "vae", "--resume", str(finished), "--trainer.max_epochs", "3"])
    assert process.returncode == 1
    assert "Cannot save the checkpoint" in process.stderr
    assert "Traceback" not in process.stderr
    assert {path.name: path.read_bytes() for path in finished.glob("*.ckpt")} == before
    assert not list(finished.glob("*.part"))
    torch.load(finished / "last.ckpt", weights_only=True)
    vae.main(["--resume", str(finished), "--trainer.max_epochs", "2", "--figures.draw", "false"])


def test_nan_never_overwrites_a_good_checkpoint(ends_with, finished):
    before = (finished / "last.ckpt").read_bytes()
    sentence = ends_with(["--resume", str(finished), "--trainer.max_epochs", "3", "--model.alpha_rec", "1e38"])
    assert "lower --model.lr" in sentence
    assert (finished / "last.ckpt").read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission(ends_with, in_tmp):
    Path("locked").mkdir(mode=0o500)
    assert "Permission denied" in ends_with([*QUICK, "--trainer.default_root_dir", "locked"])


def test_a_defect_still_shows_its_traceback():
    def broken():
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError):
        run_main(broken)


def test_a_misspelt_option_of_data_that_choose_the_model_is_named_before_they_are_read(ends_with, in_tmp):
    said = ends_with(["--data.csv", "absent.csv", "--data.traget", "price"], main=mlp.main)
    assert said == "there is no option data.traget, did you mean data.target? See --help."


@pytest.mark.parametrize("name", [name for name in CASES if "--data.csv" in case(name).trained_on])
def test_an_absent_file_to_test_on_is_told_before_there_is_a_run_folder(name, ends_with, in_tmp):
    case(name).files()
    flags = [*QUICK, *case(name).trained_on, "--data.test_csv", "absent.csv"]
    assert f"no file absent.csv in {in_tmp}" in ends_with(flags, main=recipe(name).main)
    assert not Path("runs").exists()
