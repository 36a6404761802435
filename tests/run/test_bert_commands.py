"""Commands of encoders of texts: one flag for another model, runs taken elsewhere."""

import shutil
from pathlib import Path

import pytest
import yaml
from nnzoo.recipes import bert, mlm

from nnzoo import BertClassifier, InputError
from support import encoders
from support.text_files import write_reviews

pytestmark = pytest.mark.filterwarnings("ignore:.*")
FEW = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.max_epochs", "1",
       "--trainer.limit_train_batches", "2", "--figures.draw", "false", "--baselines", "null"]  # fmt: skip


@pytest.fixture
def reviews(in_tmp):
    encoders.save(in_tmp / "encoder")
    write_reviews()
    return in_tmp


def trained(*flags):
    bert.main([*FEW, "--model.pretrained", "encoder", "--data.train_file", "reviews.tsv", *flags])
    (run,) = Path("runs/bert").iterdir()
    return run


def test_the_tokenizer_follows_from_the_model_and_a_run_needs_neither_again(reviews, monkeypatch):
    run = trained()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["model"]["pretrained"], config["data"]["tokenizer"]) == ("encoder", "encoder")
    model = BertClassifier.load_from_checkpoint(run / "best.ckpt", map_location="cpu")
    texts = Path("new.txt").read_text().splitlines()
    shutil.rmtree("encoder")
    Path("reviews.tsv").unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    bert.main(["predict", "--ckpt_path", str(run / "best.ckpt"), "--data.predict_file", "new.txt",
               "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"])  # fmt: skip
    (table,) = Path("runs").rglob("predictions.csv")
    lines = table.read_text().splitlines()
    assert len(lines) == 3
    for line, one in zip(lines[1:], model.classify(texts), strict=True):
        assert one["label"] in line.split(",")


def test_a_run_goes_on_without_the_folder_of_the_model(reviews):
    run = trained()
    tokenizer = Path("tokens")
    shutil.copytree("encoder", tokenizer)
    for name in ("config.json", "model.safetensors"):
        (Path("encoder") / name).unlink()
    bert.main([*FEW, "--resume", str(run), "--trainer.max_epochs", "2"])
    assert (run / "last.ckpt").is_file()


def test_another_tokenizer_than_the_models_is_refused(reviews):
    with pytest.raises(InputError, match="tokenizer of the data is not that of encoder"):
        trained("--data.tokenizer", "wordpiece", "--data.vocab_size", "60")


def test_a_folder_without_a_tokenizer_is_a_sentence(reviews):
    for path in Path("encoder").glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InputError, match="folder encoder has no tokenizer"):
        trained()


def test_what_was_learned_without_labels_is_taken_further(in_tmp):
    write_reviews()
    Path("texts.txt").write_text("\n\n".join(encoders.TEXTS * 3))
    few = [flag for flag in FEW if flag not in ("--baselines", "null")]
    mlm.main([*few, "--data.train_file", "texts.txt", "--data.document", "paragraph", "--data.vocab_size", "100",
              "--model.width", "16", "--model.num_layers", "1", "--data.block_size", "32"])  # fmt: skip
    (run,) = Path("runs/mlm").iterdir()
    from nnzoo import MaskedLanguageModel

    model = MaskedLanguageModel.load_from_checkpoint(run / "best.ckpt", map_location="cpu")
    model.export("encoder")
    trained("--model.tuning", "frozen")
