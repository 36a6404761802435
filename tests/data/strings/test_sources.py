import pytest

from nnzoo import InputError, StringPairsDataModule
from nnzoo.data.splits import PARTS
from nnzoo.data.strings.pairs import Pair
from nnzoo.data.strings.sources import SOURCES, GeneratedPairs, PairSource
from support.room import (
    check_that_a_source_reads_what_it_says,
    check_that_further_sources_can_be_chosen,
    check_that_options_act_or_are_refused,
    module_with,
    names,
)


@pytest.fixture
def settings(tmp_path):
    """What each source needs to be small and complete."""
    path = tmp_path / "pairs.csv"
    lines = [f"{'ab' * (1 + number % 9)}{number},{number}" for number in range(100)]
    path.write_text("\n".join(["source,target", *lines]))
    few = {"num_samples": 200, "num_longer": 20}
    return {name: {"dataset": name, **({"csv": str(path)} if name == "csv" else few)} for name in SOURCES}


class Doubling(GeneratedPairs):
    """Letters to write twice."""

    name = "doubling"
    uses = ("num_samples", "num_longer")
    usual_lengths = (3, 4)

    def draw(self, lengths, rng):
        word = "".join(rng.choices("abcdefgh", k=rng.choice(lengths)))
        return Pair(word, word * 2)


class Morse(PairSource):
    """Letters in Morse code."""

    name = "morse"

    def load(self):
        return [Pair(*letter.split()) for letter in (".- a", "-... b", "-.-. c", "-.. d", ". e", "..-. f")], []


def test_a_new_source_needs_no_other_edit(monkeypatch):
    cls = module_with(monkeypatch, "strings", Doubling, Morse).StringPairsDataModule
    data = cls(dataset="doubling", num_samples=50, num_longer=5)
    data.prepare_data()
    data.setup()
    assert {part: len(pairs) for part, pairs in data.pairs.items()} == {"train": 40, "val": 5, "test": 5, "longer": 5}
    assert (data.max_length, data.longer_length, data.max_source_length, data.max_target_length) == (3, 4, 3, 9)
    assert len(data.predicted_rows()) == len(data.parts["test"]) == 10
    data = cls(dataset="morse", batch_size=2)
    data.setup()
    assert data.max_source_length == 4
    assert set("-.") < set(data.vocabulary)
    with pytest.raises(InputError, match=r"num_samples does nothing with dataset morse: .* or doubling"):
        cls(dataset="morse", num_samples=5)
    check_that_further_sources_can_be_chosen(cls, StringPairsDataModule)


def test_every_option_acts_or_is_refused(settings):
    check_that_options_act_or_are_refused(StringPairsDataModule, settings)


@pytest.mark.parametrize("name", names(SOURCES))
def test_a_source_reads_what_it_says(name, settings):
    check_that_a_source_reads_what_it_says(StringPairsDataModule(**settings[name]))


def test_a_file_takes_the_place_of_generated_pairs_and_is_needed_for_csv(settings):
    data = StringPairsDataModule(**{**settings["csv"], "dataset": "dates"})
    assert data.dataset == data.hparams["dataset"] == data.source.name == "csv"
    with pytest.raises(InputError, match=r"--data\.dataset csv needs --data\.csv"):
        StringPairsDataModule(dataset="csv")


def test_new_sources_may_stand_in_any_column_beside_generated_pairs(settings, tmp_path):
    (tmp_path / "new.csv").write_text("asked\n12\n345\n")
    new = {"predict_csv": str(tmp_path / "new.csv"), "source": "asked"}
    data = StringPairsDataModule(**settings["reversal"], **new)
    assert data.predicted_rows()["asked"].tolist() == ["12", "345"]


@pytest.mark.parametrize("name", names(SOURCES))
def test_what_a_source_knows_is_true_of_its_data(name, settings):
    data = StringPairsDataModule(**settings[name], max_length=10, longer_length=25, min_length=5)
    usual, longer = data.source.load()
    assert {len(pair.source) for pair in usual} <= set(range(5, 11))
    assert {len(pair.source) for pair in longer} <= set(range(11, 26))
    assert sorted(usual) == sorted(pair for part in PARTS for pair in data.pairs[part])
    assert longer == data.pairs["longer"] != []
    by_default = StringPairsDataModule(**settings[name])
    assert (by_default.max_length, by_default.longer_length) == SOURCES[name].usual_lengths
    sizes = [len(pair.source) for pair in by_default.source.load()[0]]
    assert max(sizes) == by_default.max_source_length
