"""Masked language models: likelihoods of masked tokens alone, filling in, what they hand on."""

import math

import pytest
import torch
from torch.utils.data import DataLoader
from transformers import AutoModelForMaskedLM, pipeline

from nnzoo import BertClassifier, InputError, MaskedLanguageModel
from nnzoo.nets.mlm import MaskedNet, masked_nll
from support import encoders


def module(**settings):
    torch.manual_seed(0)
    sizes = {"width": 16, "num_layers": 2, "block_size": 40, "dropout": 0.0}
    model = MaskedLanguageModel(**{**sizes, **encoders.facts(), **settings})
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def masked(rows=6, seed=0, share=0.3):
    batch = encoders.batch(rows=rows, seed=seed)
    draws = torch.rand(batch["input_ids"].shape, generator=torch.Generator().manual_seed(seed))
    chosen = (draws < share) & batch["attention_mask"].bool()
    chosen[:, 1] = True
    labels = batch["input_ids"].where(chosen, -100)
    mask = encoders.tokenizer().mask_token_id
    return {**batch, "input_ids": batch["input_ids"].where(~chosen, mask), "labels": labels}


def test_the_loss_is_that_of_transformers():
    model, batch = module(), masked()
    theirs = model.net.model(**batch).loss
    torch.testing.assert_close(model.training_step(batch, 0), theirs)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra"])
def test_the_head_is_that_of_the_model_on_the_chosen_tokens(kind):
    torch.manual_seed(0)
    net, batch = MaskedNet(encoders.config(kind).to_dict()).eval(), masked()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    chosen = batch["labels"] != -100
    torch.testing.assert_close(net(chosen, **inputs), net.model(**inputs).logits[chosen])


def test_metrics_are_totals_over_all_masked_tokens():
    model = module().eval()
    batches = [masked(rows=3, seed=1, share=0.1), masked(rows=9, seed=2, share=0.6)]
    for number, batch in enumerate(batches):
        model.validation_step(batch, number)
    nll = right = count = 0.0
    for batch in batches:
        logits = model.net.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        chosen = batch["labels"] != -100
        log_p = logits[chosen].log_softmax(dim=1).gather(1, batch["labels"][chosen][:, None])
        nll -= float(log_p.sum())
        right += int((logits[chosen].argmax(dim=1) == batch["labels"][chosen]).sum())
        count += int(chosen.sum())
    terms = model.means.of("val")
    assert float(terms["loss"].compute()) == pytest.approx(nll / count, rel=1e-5)
    assert float(terms["accuracy"].compute()) == pytest.approx(right / count)
    assert float(model.perplexities["val"].compute()) == pytest.approx(math.exp(nll / count), rel=1e-4)


def test_likelihoods_are_summed_by_text():
    labels = torch.tensor([[-100, 2, -100], [-100, -100, -100], [0, -100, 1]])
    logits = torch.randn(3, 4)
    sums, right, counts = masked_nll(logits, labels)
    each = torch.nn.functional.cross_entropy(logits, torch.tensor([2, 0, 1]), reduction="none")
    torch.testing.assert_close(sums, torch.stack([each[0], torch.tensor(0.0), each[1] + each[2]]))
    assert counts.tolist() == [1, 0, 2]
    hits = (logits.argmax(dim=1) == torch.tensor([2, 0, 1])).float()
    assert right.tolist() == [hits[0], 0, hits[1] + hits[2]]


def test_more_padding_changes_no_loss():
    model, batch = module().eval(), masked()
    torch.testing.assert_close(model.training_step(encoders.padded(batch), 0), model.training_step(batch, 0))


def test_several_batches_of_a_step_weigh_as_their_tokens(make_trainer):
    whole = masked(rows=8, share=0.4)
    parts = [{name: values[i : i + 2] for name, values in whole.items()} for i in range(0, 8, 2)]
    parts[0]["labels"] = parts[0]["labels"].clone()
    parts[0]["labels"][:, 2:] = -100  # far fewer tokens than the others
    whole = {name: torch.cat([part[name] for part in parts]) for name in whole}
    after = []
    for batches, count in (([whole], 1), (parts, 4)):
        model = module(optimizer="sgd", momentum=0.0, lr=0.1)
        make_trainer(max_epochs=1, accumulate_grad_batches=count).fit(model, DataLoader(batches, batch_size=None))
        after.append(dict(model.named_parameters()))
    for name, value in after[0].items():
        torch.testing.assert_close(after[1][name], value, rtol=1e-4, atol=1e-5)


def test_masks_are_filled_as_by_transformers_pipeline(tmp_path):
    model = module().train()
    saved = model.export(tmp_path / "export")
    theirs = pipeline("fill-mask", model=str(saved), top_k=3)
    text = "a [MASK] film, warm and [MASK]."
    for ours, found in zip(model.fill(text, top=3), theirs(text), strict=True):
        assert [one["word"] for one in ours] == [one["token_str"].strip() for one in found]
        assert [one["score"] for one in ours] == pytest.approx([one["score"] for one in found], rel=1e-4)
    assert model.training, "left as it was"


@pytest.mark.parametrize(("text", "message"), [
    ("a fine film", r"no mask in the text: write \[MASK\]"), ("[MASK] " * 50, "has 52 tokens, the model reads 40"),
])  # fmt: skip
def test_a_text_that_cannot_be_filled_is_a_sentence(text, message):
    with pytest.raises(InputError, match=message):
        module().fill(text)


def test_predictions_are_the_texts_with_their_masks_filled():
    model, batch = module().eval(), masked()
    found = model.predict_step(batch, 0)
    logits = model.net.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    ids = batch["input_ids"].where(batch["input_ids"] != model.mask_token, logits.argmax(dim=2))
    assert found == model.tokenizer.batch_decode(ids, skip_special_tokens=True)
    assert model.prediction_columns([found, found], {})["filled"] == found * 2


def test_an_exported_folder_is_the_model_and_bert_begins_with_it(tmp_path):
    model = module().eval()
    saved = model.export(tmp_path / "whole")
    batch = masked()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    theirs = AutoModelForMaskedLM.from_pretrained(saved)
    torch.testing.assert_close(theirs(**inputs).logits, model.net.model(**inputs).logits, rtol=0, atol=0)
    classifier = BertClassifier(pretrained=str(saved), num_classes=3, **encoders.facts(), max_length=40)
    classifier.load_pretrained()
    ours, given = classifier.net.model.bert.state_dict(), model.net.model.bert.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in given.items())
    assert set(ours) - set(given) == {"pooler.dense.weight", "pooler.dense.bias"}


def test_half_the_size_is_float16_and_the_model_keeps_its_own(tmp_path):
    model = module().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sizes = [
        (model.export(tmp_path / str(half), half=half) / "model.safetensors").stat().st_size for half in (False, True)
    ]
    assert sizes[1] < 0.6 * sizes[0]
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert next(model.parameters()).dtype == torch.float32


def test_a_pretrained_model_learns_on_with_its_head(tmp_path, make_trainer):
    saved = encoders.save(tmp_path / "encoder", auto="AutoModelForMaskedLM")
    model = MaskedLanguageModel(pretrained=str(saved), **encoders.facts(), block_size=40, lr=1e-9)
    make_trainer(max_epochs=1).fit(model, DataLoader([masked()], batch_size=None))
    theirs = AutoModelForMaskedLM.from_pretrained(saved).state_dict()
    for name, value in model.net.model.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-6)


def test_a_head_that_is_not_there_is_said(tmp_path):
    saved = encoders.save(tmp_path / "encoder")
    with pytest.warns(UserWarning, match="as those without a head for masked tokens do"):
        MaskedLanguageModel(pretrained=str(saved), **encoders.facts())


def test_a_pretrained_model_is_of_use_without_a_fit(tmp_path):
    learned = module()
    folder = learned.export(tmp_path / "model")
    files = {"tokenizer_files": learned.hparams["tokenizer_files"]}
    fresh = MaskedLanguageModel(pretrained=str(folder), **files)
    assert fresh.fill("a [MASK] film") == learned.fill("a [MASK] film")


def test_the_picture_shows_what_was_masked_and_guessed():
    model, batch = module().eval(), masked()
    figure = model.figures(batch, {})["filled"]
    texts = sorted(figure.texts, key=lambda text: (-text.get_position()[1], text.get_position()[0]))
    table = [texts[i : i + 6] for i in range(0, len(texts), 6)]
    head = [text.get_text() for text in table[0]]
    assert head == ["before", "masked", "after", "1. guess", "2. guess", "3. guess"]
    logits = model.net.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    for number, row in enumerate(table[1:]):
        place = int(((batch["labels"][number] != -100) & (batch["input_ids"][number] == model.mask_token)).nonzero()[0])
        p = logits[number, place].softmax(dim=0).topk(3)
        word = model.tokenizer.decode([int(batch["labels"][number, place])])
        guesses = [
            f"{model.tokenizer.decode([k])} {v:.2f}" for k, v in zip(p.indices.tolist(), p.values.tolist(), strict=True)
        ]
        assert [text.get_text() for text in row[3:]] == guesses
        assert row[1].get_text() == word
        assert row[3].get_color() == ("black" if guesses[0].split()[0] == word else "tab:red")
    assert len(table) == 7


@pytest.mark.parametrize(("settings", "message"), [
    ({"width": 15}, "width 15 does not divide over 2 heads"), ({"dropout": 1.0}, "dropout is a share"),
    ({"objective": "causal"}, "set --data.objective masked"), ({"vocab_size": None}, "needs vocab_size"),
    ({"num_layers": 0}, "num_layers must be positive"),
])  # fmt: skip
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        module(**settings)


def test_sizes_do_nothing_with_a_pretrained_model(tmp_path):
    saved = str(encoders.save(tmp_path / "encoder"))
    with pytest.raises(InputError, match="width does nothing with pretrained"):
        MaskedLanguageModel(pretrained=saved, width=32, **encoders.facts())


def test_batches_that_are_none_are_refused():
    model, batch = module(), masked()
    for changed, message in (
        ({**batch, "labels": torch.full_like(batch["labels"], -100)}, "No token of a batch"),
        ({**batch, "input_ids": batch["input_ids"] + 100}, r"must lie in 0 \.\. 119"),
        ({"input_ids": batch["input_ids"]}, "a dict with input_ids"),
    ):
        with pytest.raises(InputError, match=message):
            model.training_step(changed, 0)
