import datetime
import locale
from collections import Counter

import pytest
import torch
from scipy import stats

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.strings.module import StringPairsDataModule
from nnzoo.data.strings.pairs import DATE_FORMATS, Pair, date, generate, number
from nnzoo.errors import InputError
from nnzoo.tokens import EOS, PAD, SOS, SPECIAL, UNK, Characters, build_vocabulary

# Format codes of the standard library's own parser, which reads each example back.
PARSED_BY = {
    "3 March 1998": "%d %B %Y",
    "3 Mar 1998": "%d %b %Y",
    "3-Mar-98": "%d-%b-%y",
    "March 3, 1998": "%B %d, %Y",
    "Mar 3, 1998": "%b %d, %Y",
    "Mar 3, 98": "%b %d, %y",
    "3.3.1998": "%d.%m.%Y",
    "03.03.98": "%d.%m.%y",
    "1998/03/03": "%Y/%m/%d",
    "19980303": "%Y%m%d",
    "Tue 3 Mar 1998": "%a %d %b %Y",
    "Tuesday, 3 March 1998": "%A, %d %B %Y",
}


def data(**settings):
    few = {} if "csv" in settings else {"num_samples": 400, "num_longer": 30}
    return StringPairsDataModule(**{**few, **settings})


def csv_file(tmp_path, lines, name="pairs.csv", header="source,target"):
    path = tmp_path / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(path)


# Characters


def test_strings_come_back_from_their_tokens():
    characters = Characters(build_vocabulary(["hello", "world"]))
    tokens, lengths = characters.sources(["hello", "wed"])
    assert lengths.tolist() == [5, 3]
    assert tokens[1, 3:].tolist() == [PAD, PAD]
    assert characters.texts(tokens) == ["hello", "wed"]
    targets = characters.targets(["lo", ""])
    assert targets[:, 0].tolist() == [SOS, SOS]
    assert targets[1].tolist() == [SOS, EOS, PAD, PAD]
    assert characters.texts(targets) == ["lo", ""]


def test_a_character_that_the_vocabulary_lacks_is_unknown_and_never_a_special_token():
    characters = Characters(build_vocabulary(["ab"]))
    assert characters.tokens("a?b") == [4, UNK, 5]
    assert characters.text(torch.tensor([4, UNK, 5])) == "a\ufffdb"
    angled = Characters(build_vocabulary(["<pad>"]))
    assert set(angled.tokens("<pad>")).isdisjoint(range(4)), "characters that spell a special token are characters"


def test_the_order_of_the_vocabulary_does_not_depend_on_the_order_of_the_texts():
    assert build_vocabulary(["ba", "c"]) == build_vocabulary(["c", "ab"]) == [*SPECIAL, "a", "b", "c"]


@pytest.mark.parametrize("texts", [[], [""], ["a", ""]])
def test_an_encoder_cannot_read_an_empty_string(texts):
    with pytest.raises(InputError, match="empty string"):
        Characters([*SPECIAL, "a"]).sources(texts)


@pytest.mark.parametrize("vocabulary", [["a", "b"], SPECIAL, []])
def test_a_vocabulary_without_special_tokens_or_characters(vocabulary):
    with pytest.raises(InputError, match="A vocabulary starts with <pad>"):
        Characters(vocabulary)


# Generated pairs


@pytest.mark.parametrize("example", DATE_FORMATS)
def test_every_date_format_is_read_back_by_the_standard_library(example):
    assert locale.getlocale(locale.LC_TIME)[0] in (None, "C", "en_US")
    write = DATE_FORMATS[example]
    assert write(datetime.date(1998, 3, 3)) == example
    for day in range(0, 36525, 7):  # years of two digits: the standard library's window is ours
        date = datetime.date(1969, 1, 1) + datetime.timedelta(days=day)
        assert datetime.datetime.strptime(write(date), PARSED_BY[example]).date() == date


def test_dates_lead_to_iso_dates_in_every_format_that_the_lengths_allow():
    (pairs,) = generate("dates", date, [range(1, 31)], [2000], seed=0)
    assert set(PARSED_BY) == set(DATE_FORMATS)
    for source, target in pairs:
        readings = set()
        for form in PARSED_BY.values():
            try:
                readings.add(datetime.datetime.strptime(source, form).date().isoformat())
            except ValueError:
                continue
        assert readings == {target}, "a source can be read in one way only"


def test_numbers_have_digits_and_lengths_at_random():
    (pairs,) = generate("reversal", number, [range(4, 9)], [5000], seed=1)
    assert all(source[::-1] == target and source.isdigit() for source, target in pairs)
    digits = Counter("".join(pair.source for pair in pairs))
    assert stats.chisquare([digits[d] for d in "0123456789"]).pvalue > 1e-3
    lengths = Counter(len(pair.source) for pair in pairs)
    assert stats.chisquare([lengths[n] for n in range(4, 9)]).pvalue > 1e-3


@pytest.mark.parametrize("dataset", ["reversal", "dates"])
def test_no_string_is_in_two_parts(dataset):
    pairs = data(dataset=dataset).pairs
    assert {part: len(found) for part, found in pairs.items()} == {"train": 320, "val": 40, "test": 40, "longer": 30}
    for index in (0, 1):
        texts = [pair[index] for found in pairs.values() for pair in found]
        assert len(set(texts)) == 430


@pytest.mark.parametrize("dataset", ["reversal", "dates"])
def test_longer_sources_are_longer_than_all_others_and_those_of_the_parts_alike(dataset):
    module = data(dataset=dataset, num_samples=2000)
    pairs = module.pairs
    lengths = {part: [len(pair.source) for pair in found] for part, found in pairs.items()}
    assert module.max_source_length == max(lengths["train"]) >= max(*lengths["test"], *lengths["val"])
    assert min(lengths["longer"]) > module.max_source_length
    assert stats.ks_2samp(lengths["train"], lengths["test"]).pvalue > 0.5
    assert module.max_target_length == max(len(p.target) for found in pairs.values() for p in found) + 1


def test_pairs_depend_on_the_split_seed_only():
    first, again, other = data(seed=1).pairs, data(seed=2).pairs, data(split_seed=1).pairs
    assert first == again
    assert first != other


def test_batches_hold_the_strings_of_their_samples():
    module = data()
    module.setup()
    parts = dict(module.parts)
    module.setup()
    assert module.parts == parts
    characters = Characters(module.vocabulary)
    source, lengths, target = module.parts["val"].__getitems__(BatchIndex(torch.tensor([3, 0]), 0, slice(None), 2))
    expected = [module.pairs["val"][3], module.pairs["val"][0]]
    assert list(map(Pair, characters.texts(source), characters.texts(target))) == expected
    assert lengths.tolist() == [len(pair.source) for pair in expected]
    assert (source != PAD).sum(dim=1).tolist() == lengths.tolist()
    batches = list(module.test_dataloader())
    assert sum(len(batch[0]) for batch in batches) == 40 + 30
    assert (
        torch.cat([lengths for _, lengths, _ in batches]).gt(module.max_source_length).tolist()
        == [False] * 40 + [True] * 30
    )


# Files


def test_the_users_own_file(tmp_path):
    path = csv_file(tmp_path, [f'"a{i}, b",{i}' for i in range(30)], header="before,after")
    module = data(csv=path, source="before", target="after")
    pairs = module.pairs
    assert pairs["longer"] == []
    assert sorted(pair for part in pairs.values() for pair in part) == sorted((f"a{i}, b", str(i)) for i in range(30))
    assert module.max_source_length == len("a10, b")
    module.setup()
    assert len(module.parts["test"]) == 3


def test_the_vocabulary_comes_from_the_training_part_only(tmp_path):
    rare = "αβγδεζηθικλμνξοπρστυ"
    module = data(csv=csv_file(tmp_path, [f"x{c},y{c}" for c in rare]))
    known = set(module.vocabulary) - set(SPECIAL)
    assert known == {"x", "y"} | {pair.source[1] for pair in module.pairs["train"]}
    module.setup()
    for part in ("val", "test"):
        assert (module.parts[part].source[:, 1] == UNK).all()
        assert (module.parts[part].target[:, 2] == UNK).all()


def test_pairs_of_a_file_beyond_max_length_are_the_longer_part(tmp_path):
    module = data(csv=csv_file(tmp_path, [f"{'a' * n},{n}" for n in range(1, 31)]), max_length=20)
    assert sorted(len(pair.source) for pair in module.pairs["longer"]) == list(range(21, 31))
    assert module.max_source_length <= 20


def test_a_tsv_file_and_repeated_pairs(tmp_path):
    path = csv_file(tmp_path, ["a,\t1", "b\t2", "b\t2", "c\t3"], "pairs.tsv", "source\ttarget")
    assert sorted(pair for part in data(csv=path).pairs.values() for pair in part) == [
        ("a,", "1"),
        ("b", "2"),
        ("c", "3"),
    ]


@pytest.mark.parametrize(
    ("lines", "settings", "says"),
    [
        (["a,b", ",c", "d,e"], {}, "line 3: the source or the target is empty"),
        (["a,b", "c", "d,e"], {}, "line 3: the source or the target is empty"),
        (["a,b", "a,c", "d,e"], {}, "two targets for the source 'a'"),
        (["a,b"], {}, "There are 1 pairs"),
        ([], {}, "has no rows below its header"),
        (
            ["a,b", "c,d", "e,f"],
            {"source": "from"},
            "has no column from for --data.source.* Its columns are source, target",
        ),
        (["a,b", "c,d", "e,f"], {"target": "to"}, "no column to for --data.target"),
        (
            ["a,b", "cccc,d", "e,f"],
            {"longer_length": 3},
            "The source 'cccc' of .* has 4 characters.*--data.longer_length",
        ),
        (['a,"b', "c,d"], {}, "cannot be read as CSV"),
    ],
)
def test_bad_files(tmp_path, lines, settings, says):
    with pytest.raises(InputError, match=says):
        _ = data(csv=csv_file(tmp_path, lines), **settings).pairs


def test_files_that_are_empty_binary_or_absent(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="cannot be read as CSV"):
        _ = data(csv=str(tmp_path / "empty.csv")).pairs
    with pytest.raises(InputError, match="cannot be read as CSV"):
        _ = data(csv=str(tmp_path / "binary.csv")).pairs
    with pytest.raises(InputError, match=r"There is no file absent\.csv"):
        _ = data(csv="absent.csv").pairs


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dataset": "sorting"}, "There is no dataset 'sorting'"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"val_fraction": 0.0}, "must be above 0"),
        ({"test_fraction": 0.95}, "leave something to train on"),
        ({"num_samples": 2}, "num_samples must be 3 or more"),
        ({"min_length": 0}, "1 <= min_length <= max_length"),
        ({"min_length": 13}, "1 <= min_length <= max_length"),
        ({"max_length": 12, "longer_length": 11}, "longer_length must not be below max_length"),
    ],
)
def test_bad_settings(settings, says):
    with pytest.raises(InputError, match=says):
        data(**settings)


def test_more_numbers_than_there_are():
    with pytest.raises(InputError, match="There are not 400 different reversal"):
        _ = data(max_length=2).pairs


def test_a_max_length_beyond_the_usual_longer_ones_leaves_no_longer_part():
    assert data(max_length=25).pairs["longer"] == []


def test_a_batch_is_as_wide_as_its_longest_strings_and_a_string_that_stands_out_is_named(tmp_path):
    lines = [f"{number},{number}" for number in range(100, 160)] + [f"{'9' * 200},{'9' * 200}"]
    pairs = data(csv=csv_file(tmp_path, lines), batch_size=4, split_seed=1)
    with pytest.warns(UserWarning, match="longest source has 200 characters, a typical one 3"):
        pairs.setup()
    for part in ("train", "val", "test"):
        for source, lengths, target in pairs._loader(part):
            assert source.shape[1] == int(lengths.max())
            assert target.shape[1] == int(lengths.max()) + 2
