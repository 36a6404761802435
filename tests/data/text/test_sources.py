import itertools
import sys
import types

import pytest

from nnzoo.data.text.files import LABEL, TEXT
from nnzoo.data.text.hub import HubSet
from nnzoo.data.text.language_module import TextDataModule
from nnzoo.data.text.module import TextClassificationDataModule
from nnzoo.data.text.rows import rows_of
from nnzoo.data.text.sources import TextSource
from nnzoo.errors import InputError
from support.room import module_with
from support.text_files import reviews, tsv

datasets = pytest.importorskip("datasets")


class Shouts(TextSource):
    """Loud and quiet texts."""

    name = "shouts"

    def load(self):
        import pandas as pd

        texts = [f"{'A' if i % 2 else 'a'} film {i}" for i in range(40)]
        return {"train": rows_of(pd.DataFrame({TEXT: texts, LABEL: ["quiet", "loud"] * 20}), self.columns, self.name)}


def test_a_new_source_needs_no_other_edit(monkeypatch, wordpiece):
    cls = module_with(monkeypatch, "text", Shouts).TextClassificationDataModule
    made = cls(dataset="shouts", tokenizer=wordpiece)
    made.setup()
    assert made.classes == ["loud", "quiet"]
    with pytest.raises(InputError, match=r"There is no dataset 'shouts': choose one of stdlib, .*, sst2, file, hub"):
        TextClassificationDataModule(dataset="shouts")


@pytest.mark.parametrize("cls", [TextClassificationDataModule, TextDataModule])
def test_options_act_or_are_refused(cls, tmp_path):
    path = tsv(tmp_path / "a.tsv", reviews(20))
    needed = {"file": {"train_file": path}, "hub": {"hub": "some/set"}}
    other = {"task": "regression", "document": "line", "most_samples": 5, "root": str(tmp_path)}
    for (option, (choice, names)), name in itertools.product(cls.acts_with.items(), cls.sources):
        if choice != "dataset" or name in names or option in ("train_file", "hub"):
            continue
        settings = {"dataset": name, **needed.get(name, {}), option: other.get(option, path)}
        with pytest.raises(InputError, match=f"{option} does nothing with dataset {name}|for a causal|give both"):
            cls(**settings)


@pytest.fixture
def hub(monkeypatch):
    """A hub with one set of reviews in memory, whose test labels are not known."""
    rows = reviews(50)
    columns = datasets.Features({"idx": datasets.Value("int32"), "sentence": datasets.Value("string"),
                                 "label": datasets.ClassLabel(names=["bad", "good"])})  # fmt: skip
    content = {
        "idx": list(range(50)),
        "sentence": [text for text, _ in rows],
        "label": [("bad", "good").index(k) for _, k in rows],
    }
    full = datasets.Dataset.from_dict(content, features=columns)
    unknown = datasets.Dataset.from_dict({**content, "label": [-1] * 50}, features=columns)
    size, asked = {"bytes": 1000}, []

    def load(name, config, streaming, **_):
        asked.append((name, config, streaming))
        parts = {"train": full, "validation": full.select(range(10)), "test": unknown}
        return {part: split.to_iterable_dataset() if streaming else split for part, split in parts.items()}

    def builder(name, config, **_):
        if name == "no/set":
            raise ConnectionError("Couldn't reach 'no/set' on the Hub (LocalEntryNotFoundError)")
        return types.SimpleNamespace(info=types.SimpleNamespace(download_size=size["bytes"], dataset_size=None))

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    return size, asked, rows


def test_a_set_of_the_hub(hub, wordpiece):
    _, asked, rows = hub
    made = TextClassificationDataModule(hub="some/reviews", hub_config="plain", tokenizer=wordpiece)
    with pytest.warns(UserWarning, match="The part test of some/reviews has no label and is left out"):
        made.setup()
    assert asked == [("some/reviews", "plain", False)]
    assert (made.dataset, made.classes) == ("hub", ["bad", "good"])
    known = dict(rows)
    assert made.texts("val")[0] == [text for text, _ in rows[:10]]
    texts, labels = made.texts("train")
    assert [known[text] for text in texts] == [made.classes[label] for label in labels]
    assert len(made.texts("test")[0]) == 8, "drawn from train"


def test_a_large_set_is_streamed(hub, byte_pairs):
    size, asked, rows = hub
    size["bytes"] = 10**10
    settings = {"hub": "some/reviews", "objective": "causal", "tokenizer": byte_pairs}
    with pytest.raises(InputError, match=r"is large: say how many texts of each part .* --data\.most_samples"):
        TextDataModule(**settings).setup()
    made = TextDataModule(**settings, most_samples=20)
    made.setup()
    assert asked == [("some/reviews", None, True)]
    texts = [text for text, _ in rows]
    assert len(set(made.texts("train"))) == 20
    assert set(made.texts("train")) < set(texts)
    assert made.texts("train") != texts[:20]


def test_some_samples_of_a_set_are_a_random_choice_and_always_the_same(hub):
    """Sets are often sorted by class."""
    size, _, rows = hub
    for size["bytes"] in (1000, 10**10):
        chosen = [[row["sentence"] for row in HubSet("some/reviews", most=10).rows("train")] for _ in range(2)]
        assert chosen[0] == chosen[1]
        assert len(set(chosen[0])) == 10
        assert chosen[0] != [text for text, _ in rows[:10]]


def test_splits_that_are_not_used_are_said(hub, monkeypatch):
    load = datasets.load_dataset

    def as_mnli(*names, **settings):
        found = load(*names, **settings)
        return {"train": found["train"], "validation_matched": found["validation"], "test_matched": found["test"]}

    monkeypatch.setattr(datasets, "load_dataset", as_mnli)
    with pytest.warns(UserWarning, match=r"splits test_matched, validation_matched of .* val and test is drawn from"):
        assert list(HubSet("some/mnli").splits) == ["train"]


def test_sets_that_cannot_be_had(hub, monkeypatch):
    with pytest.raises(
        InputError, match=r"no/set cannot be had .*Couldn't reach.*check its name, --data\.hub_config and"
    ):
        HubSet("no/set").splits  # noqa: B018
    with pytest.raises(InputError, match=r"no column review for --data\.text.*Its columns are idx, sentence, label"):
        TextClassificationDataModule(hub="some/reviews", text="review").setup()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="need datasets: pip install datasets"):
        HubSet("some/reviews").splits  # noqa: B018


@pytest.mark.online
@pytest.mark.filterwarnings("ignore:.*")
def test_sst2_of_the_hub():
    try:
        made = TextClassificationDataModule(hub="stanfordnlp/sst2", most_samples=100)
        made.setup()
    except InputError:
        pytest.skip("needs a network")
    assert made.classes == ["negative", "positive"]
    assert len(made.texts("val")[0]) == 100
