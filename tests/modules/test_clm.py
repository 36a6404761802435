"""CausalLM, and what all causal models share: the loss of a step, perplexity, texts, and the pictures of these."""

import json
import math

import lightning as L
import pytest
import torch
import transformers

from nnzoo import CausalLM, InputError, LoRACausalLM, TextDataModule
from nnzoo.data.text.tokenizer import files_of, fingerprint, trained_tokenizer
from support import decoders
from support.found import linked
from support.quiet import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")
SIZES = {"width": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 320, "block_size": 48}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}


def small(**settings):
    return CausalLM(**{**SIZES, **SPECIAL, "tokenizer_files": files_of(decoders.tokenizer()), **settings})


def loader(batches):
    return torch.utils.data.DataLoader(batches, batch_size=None)


def fit(module, batches, **settings):
    trainer = L.Trainer(**{**QUIET, "max_epochs": 1, **settings})
    trainer.fit(module, loader(batches))
    return trainer


def joined(batches):
    """Several batches of the same width as one."""
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def uneven(count=4):
    """Batches with very different numbers of tokens that count."""
    batches = [decoders.batch(rows=2, seed=seed) for seed in range(count)]
    for number, batch in enumerate(batches):
        batch["labels"][:, 2 + 3 * number :] = -100
    return batches


@pytest.mark.parametrize("batches", [4, 3])
def test_accumulated_batches_make_the_step_of_one_large_batch(batches):
    """Tokens count alike in batches of very different numbers of them; a step at an epoch's end may have fewer."""
    parts, models = uneven(batches), []
    for data, every in (([joined(parts)], 1), (parts, 4)):
        torch.manual_seed(0)
        models.append(small(lr=0.5, optimizer="sgd", momentum=0.0))
        trainer = fit(models[-1], data, accumulate_grad_batches=every)
        assert trainer.global_step == 1
    torch.testing.assert_close(dict(models[0].state_dict()), dict(models[1].state_dict()), rtol=1e-4, atol=1e-6)


def test_clipping_sees_the_gradient_of_the_whole_step():
    models = []
    for data, every in (([joined(uneven())], 1), (uneven(), 4)):
        torch.manual_seed(0)
        models.append(small(lr=0.5, optimizer="sgd", momentum=0.0))
        fit(models[-1], data, accumulate_grad_batches=every, gradient_clip_val=0.01)
    torch.testing.assert_close(dict(models[0].state_dict()), dict(models[1].state_dict()), rtol=1e-4, atol=1e-7)


def test_perplexity_is_exp_of_the_total_over_all_tokens(tmp_path):
    """Not a mean over batches, nor over texts."""
    module, batches = small(), uneven()
    trainer = L.Trainer(**QUIET)
    (metrics,) = trainer.test(module, loader(batches), verbose=False)
    with torch.no_grad():
        outputs = [module.net(**batch) for batch in batches]
    tokens = [int((batch["labels"][:, 1:] != -100).sum()) for batch in batches]
    mean = sum(float(o.loss) * n for o, n in zip(outputs, tokens, strict=True)) / sum(tokens)
    assert metrics["test/loss"] == pytest.approx(mean, rel=1e-5)
    assert metrics["test/perplexity"] == pytest.approx(math.exp(mean), rel=1e-5)
    assert metrics["test/trainable_share"] == 1
    assert "test/word_perplexity" not in metrics


@pytest.fixture
def texts(tmp_path):
    """A file of texts and a folder with a tokenizer that has no padding."""
    (tmp_path / "texts.txt").write_text("\n".join(text for text in decoders.TEXTS for _ in range(2)))
    decoders.tokenizer(pad_token=None).save_pretrained(tmp_path / "words")
    return TextDataModule(
        train_file=str(tmp_path / "texts.txt"), document="line", objective="causal", block_size=48, batch_size=8,
        tokenizer=str(tmp_path / "words"),
    )  # fmt: skip


def test_units_that_do_not_depend_on_the_tokenizer(texts, in_tmp):
    texts.setup()
    module = small(vocab_size=texts.vocab_size)
    (metrics,) = L.Trainer(**QUIET).test(module, texts, verbose=False)
    total = sum(float(module.losses(batch)[0].sum()) for batch in texts.batches("test"))
    documents = texts.texts("test")
    words = sum(len(text.split()) for text in documents)
    size = sum(len(text.encode()) for text in documents)
    assert metrics["test/word_perplexity"] == pytest.approx(math.exp(total / words), rel=1e-4)
    assert metrics["test/bits_per_byte"] == pytest.approx(total / math.log(2) / size, rel=1e-4)
    assert module.metric_note.endswith("; word_perplexity and bits_per_byte do not depend on the tokenizer")
    (metrics,) = L.Trainer(**QUIET, limit_test_batches=1).test(module, texts, verbose=False)
    assert len(list(texts.batches("test"))) == 1 or "test/word_perplexity" not in metrics


def test_the_end_token_is_learned_though_it_stands_for_padding_too(texts, in_tmp):
    """A tokenizer without padding: how a text ends is predicted, and the padding is not."""
    texts.setup()
    torch.manual_seed(0)
    module = small(lr=0.01, width=32, vocab_size=texts.vocab_size, pad_token_id=None,
                   tokenizer_files=files_of(texts.text_tokenizer))  # fmt: skip
    end, batch = texts.eos_token_id, next(texts.batches("test"))
    assert texts.text_tokenizer.pad_token is None
    lengths = batch["attention_mask"].sum(dim=1)
    last = torch.arange(len(lengths)), lengths - 1
    assert (batch["labels"][last] == end).all(), "the end has a label"
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all(), "padding has none"
    L.Trainer(**QUIET, max_epochs=60).fit(module, texts)
    with torch.no_grad():
        chances = module.eval()(batch["input_ids"], batch["attention_mask"]).softmax(dim=2)
    assert (chances[torch.arange(len(lengths)), lengths - 2, end] > 0.5).all()
    text = module.generate("Raise ValueError if the file", temperature=0.0, max_new_tokens=20)
    assert text == "Raise ValueError if the file is not open."


def test_of_instructions_the_answers_alone_are_learned(tmp_path, in_tmp):
    rows = [f"What is {number}?,The number {number} is it." for number in range(60)]
    (tmp_path / "chats.csv").write_text("\n".join(["ask,say", *rows]))
    decoders.tokenizer().save_pretrained(tmp_path / "words")
    data = TextDataModule(train_file=str(tmp_path / "chats.csv"), prompt="ask", answer="say", objective="causal",
                          block_size=48, tokenizer=str(tmp_path / "words"))  # fmt: skip
    module = small(**linked(CausalLM, data))
    assert module.hparams["instructs"]
    batch = next(data.batches("test"))
    answers = [text.partition("?\n")[2] for text in data.texts("test")][: len(batch["labels"])]
    tokens = [len(module.tokenizer(answer)["input_ids"]) + 1 for answer in answers]  # and the end
    assert module.loss_weights(batch).tolist() == tokens
    (metrics,) = L.Trainer(**QUIET).test(module, data, verbose=False)
    assert "test/word_perplexity" not in metrics, "which would be of the prompts too"
    assert module.metric_note == "loss: nats per token"
    figure = module.figures(batch, {})["texts"]
    assert figure.texts[4].get_text().startswith("What is")


def test_pretrained_alone_is_enough_and_a_checkpoint_needs_no_folder(tmp_path):
    base = decoders.save(tmp_path / "base", "llama")
    module = CausalLM(pretrained=str(base), lr=0.01)
    batch = decoders.batch()
    plain = transformers.AutoModelForCausalLM.from_pretrained(base)
    torch.testing.assert_close(module.contract_loss(batch), plain(**batch).loss)
    fit(module, [batch] * 2).save_checkpoint(tmp_path / "x.ckpt")
    base.rename(tmp_path / "gone")
    loaded = CausalLM.load_from_checkpoint(tmp_path / "x.ckpt").eval()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    assert torch.equal(loaded(**inputs), module.eval()(**inputs))
    assert loaded.generate("The list", max_new_tokens=3) == module.generate("The list", max_new_tokens=3)
    with loaded.before_training() as was:
        assert not was, "which is gone"


def test_the_data_have_the_tokenizer_of_the_pretrained_model(tmp_path):
    base, other = decoders.save(tmp_path / "base"), trained_tokenizer(decoders.TEXTS[:2], "bpe", 300)
    own = decoders.tokenizer()
    for given in ({"tokenizer_files": files_of(own)}, {"tokenizer_files": files_of(own), "block_size": 8}):
        CausalLM(pretrained=str(base), tokenizer_hash=fingerprint(own), **given)
    with pytest.raises(InputError, match=r"is not that of .*base, whose weights know its own tokens only"):
        CausalLM(pretrained=str(base), tokenizer_hash=fingerprint(other), tokenizer_files=files_of(other))


@pytest.mark.parametrize("cls", [CausalLM, LoRACausalLM])
def test_a_model_of_the_hub_brings_its_tokenizer_and_its_name(cls, tmp_path, monkeypatch):
    """What is downloaded for its weights has no tokenizer."""
    folder, tokenizer = decoders.save(tmp_path / "snapshot"), decoders.tokenizer()
    for file in folder.glob("tokenizer*"):
        file.unlink()
    monkeypatch.setattr("nnzoo.nets.pretrained.downloaded", lambda *_: folder)
    asked = []
    monkeypatch.setattr(
        transformers.AutoTokenizer, "from_pretrained", lambda name, **_: asked.append(name) or tokenizer
    )
    module = cls(pretrained="someone/decoder")
    assert asked[0] == "someone/decoder"
    assert fingerprint(module.tokenizer) == fingerprint(tokenizer)
    if cls is LoRACausalLM:
        module.save_adapter(tmp_path / "adapter")
        settings = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == "someone/decoder"


def test_the_exported_folder_is_the_model_and_its_tokenizer(tmp_path):
    module = small()
    fit(module, [decoders.batch()])
    folder, batch = module.export(tmp_path / "out"), decoders.batch()
    again = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    torch.testing.assert_close(again(**inputs).logits, module.eval()(**inputs))
    assert fingerprint(transformers.AutoTokenizer.from_pretrained(folder)) == fingerprint(module.tokenizer)
    half = CausalLM(pretrained=str(module.export(tmp_path / "half", half=True)))
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("out", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    assert {p.dtype for p in half.parameters()} == {p.dtype for p in module.parameters()} == {torch.float32}
    torch.testing.assert_close(half.eval()(**inputs), module.eval()(**inputs), rtol=0.01, atol=0.01)


def test_gradients_with_checkpointing_are_those_without():
    found = []
    for saving in (False, True):
        torch.manual_seed(0)
        module = small(gradient_checkpointing=saving, dropout=0.2).train()
        torch.manual_seed(0)
        module.contract_loss(decoders.batch()).backward()
        found.append({name: parameter.grad for name, parameter in module.named_parameters()})
        assert module.net.transformer.gradient_checkpointing is saving
    torch.testing.assert_close(found[0], found[1])


def test_tokens_per_second_are_those_of_training(monkeypatch):
    """Padding is not counted, nor the first step, nor validation."""
    now = [0.0]
    monkeypatch.setattr("nnzoo.modules.pace.time.monotonic", lambda: now[0])
    module, batch = small(), decoders.batch()

    class Clock(L.Callback):
        def on_train_batch_end(self, *_):
            now[0] += 2.0

        def on_validation_batch_end(self, *_):
            now[0] += 1000.0

    trainer = L.Trainer(**QUIET, max_epochs=2, callbacks=[Clock()])
    trainer.fit(module, loader([batch] * 3), loader([batch]))
    tokens = int(batch["attention_mask"].sum())
    # 2 s behind each of 6 steps; the first one's tokens do not count, its time from then on does.
    assert module.costs() == {"trainable_share": 1.0, "tokens_per_second": pytest.approx(5 * tokens / 12, rel=1e-2)}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"temperature": -1.0}, "temperature must not be negative"),
        ({"top_p": 0.0}, "top_p lies above 0"),
        ({"top_k": -1}, "top_k is a number of tokens"),
        ({"prompt": []}, "no prompt in the list"),
        ({"max_new_tokens": 0}, "max_new_tokens must be positive"),
        ({"pretrained": "x", "width": 8}, "width does nothing with pretrained x"),
        ({"tokenizer_hash": "0" * 16}, "another tokenizer"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        small(**settings)


def test_tokens_that_the_model_does_not_know_are_refused():
    module, batch = small(vocab_size=40), decoders.batch()
    with pytest.raises(InputError, match=r"the model 0 to 39: set --data.tokenizer"):
        module.training_step(batch, 0)
    with pytest.raises(InputError, match="A batch is a dict of input_ids"):
        module.training_step((batch["input_ids"],), 0)
