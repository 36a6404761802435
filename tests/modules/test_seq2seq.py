import itertools
import math
import random

import pytest
import torch
from nnzoo.recipes import seq2seq
from torch.utils.data import DataLoader
from torchmetrics.text import Perplexity as TorchmetricsPerplexity

from nnzoo.baselines.strings import StringBaselines
from nnzoo.data.strings.module import StringPairsDataModule
from nnzoo.errors import InputError
from nnzoo.modules.seq2seq import Seq2Seq
from nnzoo.nets.decoding import Decoded
from nnzoo.nets.seq2seq import token_loss
from nnzoo.plots.strings import END
from nnzoo.tokens import PAD, SPECIAL, Characters

VOCABULARY = [*SPECIAL, *"abc"]
SMALL = {"vocabulary": VOCABULARY, "max_source_length": 4, "max_target_length": 6, "hidden_size": 8, "embedding_dim": 4}
CHARACTERS = Characters(VOCABULARY)


def small(**settings):
    torch.manual_seed(1)
    return Seq2Seq(**{**SMALL, **settings})


def batch_of(pairs):
    sources, targets = zip(*pairs, strict=True)
    return (*CHARACTERS.sources(sources), CHARACTERS.targets(targets))


def random_pairs(count, longest=4, seed=0):
    rng = random.Random(seed)
    sources = ["".join(rng.choices("abc", k=rng.randint(1, longest))) for _ in range(count)]
    return [(source, source[::-1]) for source in sources]


def loader(*batches):
    return DataLoader([batch_of(pairs) for pairs in batches], batch_size=None)


class Reverser(Seq2Seq):
    """Outputs are the reversed source, but greedy search finds "a" wherever the source starts with a "c"."""

    def search(self, source, lengths, beam_size=None):
        texts = [text[::-1] if text[0] != "c" else "a" for text in self.characters.texts(source)]
        beams = self.hparams["beam_size"] if beam_size is None else beam_size
        if beams > 1:
            texts = [text[::-1] for text in self.characters.texts(source)]
        return Decoded(self.characters.targets(texts)[:, 1:], torch.full((len(texts),), -2.0))


def test_reported_numbers_are_totals_over_tokens_and_samples_however_the_set_is_cut(make_trainer):
    model, pairs = small().eval(), random_pairs(9)
    whole = batch_of(pairs)
    scores = model.net(*whole).detach()
    losses, tokens = token_loss(scores, whole[-1])
    perplexity = TorchmetricsPerplexity(ignore_index=PAD)(scores, whole[-1][:, 1:]).item()
    right = (scores.argmax(-1) == whole[-1][:, 1:]) & (whole[-1][:, 1:] != PAD)
    for sizes in ((9,), (1, 8), (4, 3, 2)):
        ends = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
        batches = [pairs[a:b] for a, b in itertools.pairwise(ends)]
        for stage, run in (("val", "validate"), ("test", "test")):
            (results,) = getattr(make_trainer(), run)(model, loader(*batches), verbose=False)
            assert results[f"{stage}/perplexity"] == pytest.approx(perplexity, rel=1e-4)
            assert math.log(results[f"{stage}/perplexity"]) == pytest.approx(
                (losses.sum() / tokens.sum()).item(), rel=1e-4
            )
            assert results[f"{stage}/loss"] == pytest.approx(losses.mean().item(), rel=1e-4)
            assert results[f"{stage}/token_accuracy"] == pytest.approx(right.sum().item() / tokens.sum().item())


def test_padding_counts_neither_as_right_nor_as_a_token():
    """Of a model that finds padding everywhere, and of one that finds the first character."""
    batch = batch_of([("ab", "a"), ("abc", "aab")])
    for token, share in ((PAD, 0.0), (CHARACTERS.tokens("a")[0], 3 / 6)):
        model = small()
        torch.nn.init.zeros_(model.net.head.weight)
        model.net.head.bias.data = torch.nn.functional.one_hot(torch.tensor(token), len(VOCABULARY)).float()
        model.eval().validation_step(batch, 0)
        assert float(model.token_means.metrics["val/token_accuracy"].compute()) == pytest.approx(share)


def test_the_test_tells_beam_from_greedy_search_and_longer_sources_from_others(make_trainer):
    model = Reverser(**SMALL, beam_size=3)
    usual = [("ab", "ba"), ("ca", "ac"), ("a", "b"), ("cbb", "bbc")]
    longer = [("ababa", "ababa"), ("caaaa", "c"), ("bbbbbc", "cbbbbb"), ("bbbbba", "abbbb")]
    (results,) = make_trainer().test(model, loader(usual[:3], [*usual[3:], longer[0]], longer[1:]), verbose=False)
    assert results["test/exact_match"] == pytest.approx(3 / 4)
    assert results["test/exact_match_greedy"] == pytest.approx(1 / 4)
    assert results["test/exact_match_longer"] == pytest.approx(2 / 4)
    assert results["test/output_nll"] == pytest.approx(2.0)
    assert results["test/char_error_rate"] == pytest.approx(1 / 8), "one wrong of the eight characters of the targets"
    whole = model.eval().net(*batch_of(usual))
    assert results["test/loss"] == pytest.approx(token_loss(whole, batch_of(usual)[-1])[0].mean().item(), rel=1e-4)
    (validated,) = make_trainer().validate(model, loader(usual), verbose=False)
    assert validated["val/exact_match"] == pytest.approx(1 / 4), "greedy"


def test_without_longer_sources_nothing_is_said_of_them(make_trainer):
    (results,) = make_trainer().test(small(), loader(random_pairs(5)), verbose=False)
    assert "test/exact_match_longer" not in results
    assert all(math.isfinite(value) for value in results.values())


def test_teacher_forcing_and_label_smoothing_shape_the_training_loss_only():
    batch = batch_of(random_pairs(6))
    plain = token_loss(small().net(*batch), batch[-1])[0].mean()
    for settings in ({"teacher_forcing": 0.0}, {"label_smoothing": 0.3}):
        model = small(**settings)
        assert model.train().training_step(batch, 0).item() != pytest.approx(plain.item(), rel=1e-3)
        torch.testing.assert_close(model.eval().training_step(batch, 0), plain)


def test_the_training_perplexity_is_that_of_the_true_tokens_under_label_smoothing():
    batch, model = batch_of(random_pairs(6)), small(label_smoothing=0.3)
    model.train().training_step(batch, 0)
    losses, tokens = token_loss(model.net(*batch), batch[-1])
    expected = (losses.sum() / tokens.sum()).exp()
    torch.testing.assert_close(model.perplexities["train"].compute(), expected.detach())


def test_evaluation_leaves_the_coins_of_the_training_alone():
    model = small(teacher_forcing=0.5, dropout=0.3).eval()
    before = torch.get_rng_state()
    model.validation_step(batch_of(random_pairs(6)), 0)
    model.test_step(batch_of(random_pairs(6)), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_forward_and_translate_agree_and_padding_does_not_matter():
    model = small().eval()
    texts = [source for source, _ in random_pairs(7)]
    assert model.translate(texts * 40) == model.translate(texts) * 40
    together = model.translate(texts)
    assert together == [model.translate([text])[0] for text in texts]
    source, lengths = CHARACTERS.sources(texts)
    assert CHARACTERS.texts(model(source, lengths)) == model.translate(texts, beam_size=1)
    assert model(source, lengths).shape == (7, 6)


def test_translating_switches_dropout_off_and_back_on():
    model = small(dropout=0.9).train()
    assert model.translate(["abc"] * 20) == model.translate(["abc"]) * 20
    assert model.training


def test_characters_never_seen_are_read_as_unknown():
    model = small()
    assert model.translate(["a?c", "a!c"]) == model.translate(["aéc"]) * 2
    assert len(model.translate(["abcabcabcabc"])) == 1, "a source may be longer than all of training"


def test_it_learns_to_reverse_and_a_checkpoint_translates(make_trainer, tmp_path):
    data = StringPairsDataModule(num_samples=900, num_longer=0, max_length=4, longer_length=4, batch_size=32)
    model = Seq2Seq(vocabulary=data.vocabulary, max_source_length=4, max_target_length=5, hidden_size=64, lr=0.01)
    trainer = make_trainer(max_epochs=25, gradient_clip_val=5.0)
    trainer.fit(model, data)
    (results,) = trainer.test(model, data, verbose=False)
    assert results["test/exact_match"] > 0.95
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = Seq2Seq.load_from_checkpoint(tmp_path / "x.ckpt")
    found = [loaded.translate([text])[0] for text in ("123", "9876", "505", "31")]
    assert sum(a == b for a, b in zip(found, ("321", "6789", "505", "13"), strict=True)) >= 3


def test_a_checkpoint_of_other_characters_is_refused(make_trainer, tmp_path):
    model = small()
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, loader(random_pairs(4)), loader(random_pairs(4)))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    other = small(vocabulary=[*SPECIAL, *"abd"])
    with pytest.raises(InputError, match="trained on strings with other characters"):
        make_trainer().test(other, loader(random_pairs(4)), ckpt_path=tmp_path / "x.ckpt", verbose=False)


def test_its_pictures():
    model = small().eval()
    batch = batch_of([("ab", "ba"), ("abcab", "b$_"), ("c", "c")])
    assert set(model.figures(batch, {})) == {"attention", "examples"}
    texts = [text.get_text() for text in model.figures(batch, {})["examples"].texts]
    assert texts[:6] == ["source", "target", "output", "ab", "ba", model.translate(["ab"])[0]]
    assert texts[6:9] == ["abcab", "b\ufffd\ufffd", model.translate(["abcab"])[0]]
    for axis, source in zip(model.figures(batch, {})["attention"].axes, ("ab", "abcab", "c"), strict=False):
        output = model.translate([source])[0]
        memory = model.net.encode(*CHARACTERS.sources([source]))
        expected = model.net.decode(CHARACTERS.targets([output])[:, :-1], memory.state, memory)[2][0]
        assert [label.get_text() for label in axis.get_xticklabels()] == list(source)
        assert [label.get_text() for label in axis.get_yticklabels()] == [*output, END][:6]
        shown = torch.as_tensor(axis.images[0].get_array())
        torch.testing.assert_close(shown, expected[: len(shown)].detach(), rtol=1e-4, atol=1e-5)
    assert set(small(attention="none").eval().figures(batch, {})) == {"examples"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"beam_size": 0}, "beam_size must be positive"),
        ({"hidden_size": 0}, "hidden_size must be positive"),
        ({"teacher_forcing": 1.5}, "teacher_forcing is a share"),
        ({"label_smoothing": 1.0}, "label_smoothing goes from 0"),
        ({"length_penalty": -1.0}, "length_penalty must not be negative"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"attention": "dot"}, "choose one of additive, general, none"),
        ({"vocabulary": ["a", "b"]}, "A vocabulary starts with"),
        ({"lr": 0.0}, "lr must be above 0"),
    ],
)
def test_bad_settings(settings, says):
    with pytest.raises(InputError, match=says):
        small(**settings)


def test_bad_strings_and_batches():
    model = small()
    with pytest.raises(InputError, match="empty string"):
        model.translate(["ab", ""])
    with pytest.raises(InputError, match="beam_size must be positive"):
        model.translate(["ab"], beam_size=0)
    source, lengths, target = batch_of([("ab", "ba")])
    with pytest.raises(InputError, match=r"Tokens must lie in 0 \.\. 6, got .* 99"):
        model.training_step((source + 95 - source.max() + 4, lengths, target), 0)
    with pytest.raises(InputError, match="must start with <sos>"):
        model.training_step((source, lengths, target[:, 1:]), 0)
    with pytest.raises(InputError, match="remove empty sequences"):
        model.training_step((source, lengths * 0, target), 0)


# Baselines and the command line


def test_the_baselines_copy_the_source_and_look_up_the_nearest(make_trainer, tmp_path):
    path = tmp_path / "pairs.csv"
    names = [letter * 5 for letter in "abcdefghij"]
    lines = [f"{name}{number},{name}" for name in names for number in range(10)]
    path.write_text("\n".join(["source,target", *lines]))
    data = StringPairsDataModule(csv=str(path))
    model = Seq2Seq(vocabulary=data.vocabulary, max_source_length=6, max_target_length=6, hidden_size=4)
    (results,) = make_trainer(callbacks=[StringBaselines()]).test(model, data, verbose=False)
    assert results["baseline/copy/exact_match"] == 0
    assert results["baseline/nearest/exact_match"] == 1, "the nearest source has the same name"
    characters = sum(len(pair.target) for pair in data.pairs["test"])
    assert results["baseline/copy/char_error_rate"] == pytest.approx(len(data.pairs["test"]) / characters)
    assert results["baseline/nearest/char_error_rate"] == 0


@pytest.mark.filterwarnings("ignore:.*")
def test_the_recipe_takes_the_users_own_file(in_tmp):
    lines = [f"{n},{n}!" for n in range(100)]
    (in_tmp / "mine.csv").write_text("\n".join(["before,after", *lines]))
    flags = [
        "--data.csv",
        "mine.csv",
        "--data.source",
        "before",
        "--data.target",
        "after",
        "--trainer.accelerator",
        "cpu",
    ]
    flags += ["--config", "smoke", "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    metrics = seq2seq.main(flags)
    (best,) = in_tmp.rglob("best.ckpt")
    model = Seq2Seq.load_from_checkpoint(best)
    data = StringPairsDataModule(csv="mine.csv", source="before", target="after")
    right = [output == pair.target for output, pair in zip(
        model.translate([pair.source for pair in data.pairs["test"]]), data.pairs["test"], strict=True)]  # fmt: skip
    assert metrics["test/exact_match"] == pytest.approx(sum(right) / len(right))
    assert model.hparams.vocabulary == [*SPECIAL, "!", *"0123456789"]
    assert model.hparams.max_target_length == 4
    assert {path.stem for path in in_tmp.rglob("*.png")} >= {"attention", "examples", "learning_curves"}
