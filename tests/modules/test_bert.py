"""Encoders that classify and regress texts: losses, metrics, raw texts, exported folders."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from nnzoo import BertMultilabelClassifier, BertRegressor, InputError, TextClassificationDataModule
from support import encoders
from support.encoders import CLASSES
from support.encoders import built as module
from support.text_files import reviews, tsv


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(encoders.save(tmp_path_factory.mktemp("saved") / "encoder"))


def test_the_loss_is_the_cross_entropy_of_the_heads_logits(folder):
    model, batch = module(folder), encoders.batch()
    logits = model.net.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = torch.nn.functional.cross_entropy(logits, batch["labels"])
    torch.testing.assert_close(model.training_step(batch, 0), expected)
    torch.testing.assert_close(model.predict_step(batch, 0), logits.softmax(dim=1))


def test_texts_in_order_of_length_and_in_any_give_one_loss_of_an_epoch(folder, tmp_path):
    """For fixed weights: the same texts in other batches, with other padding."""
    path = tsv(tmp_path / "a.tsv", reviews(64))
    model = module(folder, num_classes=2, classes=["bad", "good"])
    losses, widths = [], []
    for grouped in (True, False):
        settings = {"train_file": path, "tokenizer": folder, "batch_size": 8, "max_length": 40}
        data = TextClassificationDataModule(
            **settings, val_fraction=0.125, test_fraction=0.125, group_by_length=grouped
        )
        data.setup("fit")
        batches = list(data.train_dataloader())
        losses.append(sum(float(model.contract_loss(batch)) for batch in batches) / len(batches))
        widths.append(sum(batch["input_ids"].shape[1] for batch in batches))
    assert len(batches) == 6, "all texts"
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert widths[0] < widths[1]


def test_metrics_are_scikit_learns(folder):
    model = module(folder)
    batches = [encoders.batch(rows=20, seed=seed) for seed in range(3)]
    for number, batch in enumerate(batches):
        model.validation_step(batch, number)
    found = {name.removeprefix("val/"): float(value) for name, value in model.metrics["val"].compute().items()}
    true = torch.cat([batch["labels"] for batch in batches]).numpy()
    predicted = torch.cat([model.predict_step(batch, 0) for batch in batches]).argmax(dim=1).numpy()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, predicted))
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(true, predicted), abs=1e-6)
    assert found["f1"] == pytest.approx(sk.f1_score(true, predicted, average="macro"), abs=1e-6)


def test_a_regressors_correlations_are_scipys_and_its_loss_is_standardised(folder):
    model = module(folder, BertRegressor, target_mean=3.0, target_std=2.0)
    batch = encoders.batch(rows=30)
    batch["labels"] = 3 + 2 * torch.randn(30)
    loss = model.training_step(batch, 0)
    predicted = model.predict_step(batch, 0)
    torch.testing.assert_close(loss, ((predicted - batch["labels"]) / 2).square().mean())
    model.test_step(batch, 0)
    found = {name.removeprefix("test/"): float(value) for name, value in model.metrics["test"].compute().items()}
    pair = predicted.detach().numpy(), batch["labels"].numpy()
    assert found["pearson"] == pytest.approx(stats.pearsonr(*pair)[0], abs=1e-5)
    assert found["spearman"] == pytest.approx(stats.spearmanr(*pair)[0], abs=1e-5)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((pair[0] - pair[1]) ** 2)), rel=1e-5)


def labelled(rows=30):
    batch = encoders.batch(rows=rows)
    batch["labels"] = (torch.rand(rows, 3) > torch.tensor([0.3, 0.5, 0.7])).float()
    return batch


def test_several_labels_have_a_binary_cross_entropy_each_and_scikit_learns_metrics(folder):
    model, batch = module(folder, BertMultilabelClassifier), labelled()
    p = model.predict_step(batch, 0)
    torch.testing.assert_close(
        model.training_step(batch, 0), torch.nn.functional.binary_cross_entropy(p, batch["labels"])
    )
    model.test_step(batch, 0)
    found = {name.removeprefix("test/"): float(value) for name, value in model.metrics["test"].compute().items()}
    true, scores = batch["labels"].numpy(), p.detach().numpy()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, scores > 0.5))
    assert found["f1"] == pytest.approx(sk.f1_score(true, scores > 0.5, average="macro"), abs=1e-6)
    assert found["micro_f1"] == pytest.approx(sk.f1_score(true, scores > 0.5, average="micro"), abs=1e-6)
    assert found["hamming"] == pytest.approx(sk.hamming_loss(true, scores > 0.5), abs=1e-6)
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(true, scores, average="macro"), abs=1e-6)
    assert found["average_precision"] == pytest.approx(
        sk.average_precision_score(true, scores, average="macro"), abs=1e-6
    )


def test_weights_of_labels_multiply_what_is_there_in_training_alone(folder):
    model, batch = module(folder, BertMultilabelClassifier), labelled()
    model.class_weight = torch.tensor([2.0, 3.0, 5.0])
    plain = model.training_step(batch, 0)
    p, y = model.predict_step(batch, 0), batch["labels"]
    torch.testing.assert_close(plain, torch.nn.functional.binary_cross_entropy(p, y))
    model.training = True  # the loss alone, without dropout
    expected = -(model.class_weight * y * p.log() + (1 - y) * (1 - p).log()).mean()
    torch.testing.assert_close(model.training_step(batch, 0), expected)


def test_labels_that_are_none_are_refused(folder):
    batch = labelled()
    batch["labels"][2, 1] = 0.5
    with pytest.raises(InputError, match="must be 0 or 1"):
        module(folder, BertMultilabelClassifier).training_step(batch, 0)
    batch = encoders.batch()
    batch["labels"][3] = 3
    with pytest.raises(InputError, match=r"must lie in 0 \.\. 2, got"):
        module(folder).training_step(batch, 0)
    batch = encoders.batch()
    batch["input_ids"][0, 3] = 120
    with pytest.raises(InputError, match=r"Tokens must lie in 0 \.\. 119"):
        module(folder).training_step(batch, 0)
    with pytest.raises(InputError, match="a dict with input_ids"):
        module(folder).training_step((torch.ones(3, 4), torch.ones(3)), 0)


TEXTS = ["a fine film", "cold and badly cut; a dull evening, long and thin", "the story is well acted"]


def test_raw_texts_are_classified_as_their_tokens_are(folder):
    model = module(folder).train()
    encoded = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    found = model.classify(TEXTS)
    assert model.training, "left as it was"
    p = model.eval()(encoded["input_ids"], encoded["attention_mask"], encoded["token_type_ids"])
    assert [one["label"] for one in found] == [CLASSES[k] for k in p.argmax(dim=1)]
    assert [one["score"] for one in found] == pytest.approx(p.max(dim=1).values.tolist(), rel=1e-5)


def test_many_texts_are_read_in_parts_and_long_ones_cut(folder):
    model = module(folder, max_length=8)
    texts = [TEXTS[i % 3] for i in range(150)]
    found = model.predict_texts(texts)
    assert found.shape == (150, 3)
    torch.testing.assert_close(found[3:], found[:-3], rtol=1e-5, atol=1e-6)
    assert model.tokenize(texts[:2])["input_ids"].shape[1] == 8
    long = "a fine film , warm and funny ."
    torch.testing.assert_close(model.predict_texts([long]), model.predict_texts([long + " cold cold cold"]))


def test_texts_are_put_into_the_template_and_pairs_beside(folder):
    plain, model = module(folder), module(folder, template="the {text} film")
    torch.testing.assert_close(model.predict_texts(["fine"]), plain.predict_texts(["the fine film"]))
    braces = module(folder, template="a {text} is {text_pair}")
    wanted = plain.predict_texts(["a {text_pair} is long"])
    torch.testing.assert_close(braces.predict_texts(["{text_pair}"], ["long"]), wanted)
    batch = plain.tokenize(["a fine film"], ["cold"])
    assert batch["token_type_ids"][0].tolist() == [0] * int((batch["token_type_ids"] == 0).sum()) + [1, 1]


@pytest.mark.parametrize(("texts", "pairs", "message"), [
    ([], None, "no text in the list"), (["fine", " "], None, "Text 1 is empty"), ("fine", None, "Give a list of texts"),
    (["fine"], ["a", "b"], "1 texts need as many second ones, got 2"), ([None], None, "Text 0 is empty"),
])  # fmt: skip
def test_texts_that_are_none_are_refused(folder, texts, pairs, message):
    with pytest.raises(InputError, match=message):
        module(folder).classify(texts, pairs)


def test_a_module_without_a_tokenizer_says_so(folder):
    model = module(folder, tokenizer_files=None)
    with pytest.raises(InputError, match="has no tokenizer"):
        model.classify(["fine"])
    assert model.figures(encoders.batch(), {}) == {}


def test_labels_above_a_half_are_given_the_most_probable_first(folder):
    model = module(folder, BertMultilabelClassifier)
    found = model.classify(TEXTS)
    for labels, p in zip(found, model.predict_texts(TEXTS), strict=True):
        assert {one["label"] for one in labels} == {CLASSES[k] for k in range(3) if p[k] > 0.5}
        assert [one["score"] for one in labels] == sorted((one["score"] for one in labels), reverse=True)
    columns = model.prediction_columns([model.predict_texts(TEXTS)], {"classes": CLASSES})
    assert columns["predicted"] == [
        "; ".join(c for c in CLASSES if c in {one["label"] for one in row}) for row in found
    ]


def test_an_exported_folder_classifies_in_plain_transformers(folder, tmp_path):
    model = module(folder)
    saved = model.export(tmp_path / "export")
    ours = model.tokenize(TEXTS)
    theirs = AutoModelForSequenceClassification.from_pretrained(saved)
    torch.testing.assert_close(theirs(**ours).logits, model.logits(*model.split(ours)[0]), rtol=0, atol=0)
    found = pipeline("text-classification", model=str(saved))(TEXTS)
    assert [one["label"] for one in found] == [one["label"] for one in model.classify(TEXTS)]
    assert [one["score"] for one in found] == pytest.approx([one["score"] for one in model.classify(TEXTS)], rel=1e-5)
    with pytest.raises(InputError, match="is not empty"):
        model.export(saved)


def test_an_exported_folder_has_its_adapters_merged(folder, tmp_path):
    model = module(folder, tuning="lora", lora_targets=["query", "value"])
    for name, parameter in model.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    found = pipeline("text-classification", model=str(model.export(tmp_path / "export")), top_k=None)(TEXTS)
    p = model.predict_texts(TEXTS)
    for row, one in zip(p, found, strict=True):
        assert {entry["label"]: entry["score"] for entry in one} == pytest.approx(
            dict(zip(CLASSES, row.tolist(), strict=True)), abs=1e-5
        )
    assert not torch.allclose(p, module(folder).predict_texts(TEXTS), atol=1e-3)


def test_an_exported_regressor_gives_the_targets_own_units(folder, tmp_path):
    model = module(folder, BertRegressor, target_mean=3.0, target_std=2.0)
    before = model.predict_numbers(TEXTS)
    saved = model.export(tmp_path / "export")
    theirs = AutoModelForSequenceClassification.from_pretrained(saved)
    assert theirs(**model.tokenize(TEXTS)).logits[:, 0].tolist() == pytest.approx(before, rel=1e-5)
    assert model.predict_numbers(TEXTS) == before, "the model itself is as it was"
    assert theirs.config.problem_type == "regression"


def test_several_labels_keep_their_sigmoid_in_a_pipeline(folder, tmp_path):
    model = module(folder, BertMultilabelClassifier)
    found = pipeline("text-classification", model=str(model.export(tmp_path / "export")), top_k=None)(TEXTS)
    for row, one in zip(model.predict_texts(TEXTS), found, strict=True):
        assert {entry["label"]: entry["score"] for entry in one} == pytest.approx(
            dict(zip(CLASSES, row.tolist(), strict=True)), abs=1e-5
        )
