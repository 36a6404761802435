from pathlib import Path

import pytest
import yaml

from nnzoo.errors import InputError
from nnzoo.run import configs
from support.found import RECIPES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Recipes of the test's own: rnn, rnn_generator, a variant of each, and an overlay."""
    (tmp_path / "overlays").mkdir()
    files = {
        "rnn.yaml": {"model": {"size": 3, "cell": "lstm"}, "data": {"dataset": "digits"}, "trainer": {"max_epochs": 2}},
        "rnn_generator.yaml": {"model": {"size": 4}},
        "rnn_long.yaml": {"model": {"size": 5}},
        "rnn_generator_long.yaml": {"trainer": {"max_epochs": 9}},
        "overlays/rnn_short.yaml": {"trainer": {"max_epochs": 1}},
    }
    for name, contents in files.items():
        (tmp_path / name).write_text(yaml.safe_dump(contents))
    for stem in ("rnn", "rnn_generator", "_records", "without_yaml"):
        (tmp_path / f"{stem}.py").write_text("")
    monkeypatch.setattr(configs, "RECIPES", tmp_path)
    for cached in (configs.packaged_configs, configs.recipe_stems):
        cached.cache_clear()
    yield tmp_path
    for cached in (configs.packaged_configs, configs.recipe_stems):
        cached.cache_clear()


def test_a_variant_belongs_to_the_recipe_with_the_longest_stem(folder):
    assert configs.recipe_stems() == ["rnn", "rnn_generator"]
    belongs = {name: configs.recipe_of(name) for name in configs.packaged_configs()}
    assert belongs == {"rnn": "rnn", "rnn_long": "rnn", "rnn_generator": "rnn_generator",
                       "rnn_generator_long": "rnn_generator", "rnn_short": None}  # fmt: skip


def test_a_variant_of_the_model_alone_has_its_recipes_other_settings(folder):
    settings = configs.settings_of("rnn_long")
    assert settings == {"model": {"size": 5, "cell": "lstm"}, "data": {"dataset": "digits"},
                        "trainer": {"max_epochs": 2}}  # fmt: skip
    assert configs.settings_of("rnn_short") == {"trainer": {"max_epochs": 1}}


def test_the_variant_for_a_data_set_is_the_only_one_or_has_its_name(folder):
    variants = {"rnn_long": "scans", "rnn_notes_small": "notes", "rnn_notes": "notes", "rnn_one": "sums",
                "rnn_two": "sums", "rnn_again": "digits", "rnn_generator_letters": "letters"}  # fmt: skip
    for name, dataset in variants.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"data": {"dataset": dataset}}))
    found = {dataset: configs.variant_for("rnn", dataset) for dataset in [*variants.values(), "unknown"]}
    assert found == {"scans": "rnn_long", "notes": "rnn_notes", "sums": None, "digits": None, "letters": None,
                     "unknown": None}  # fmt: skip
    assert configs.variant_for("rnn_generator", "letters") == "rnn_generator_letters"


def test_the_listing_shows_a_variant_of_the_model_alone(folder, monkeypatch):
    from nnzoo.recipes import _records

    monkeypatch.setattr(_records, "FOLDER", folder)
    (folder / "rnn_long.yaml").write_text("# A long one: of many steps.\nmodel: {size: 5}\n")
    rows = {row[0]: row for row in _records.rows()[1:]}
    assert rows["rnn_long"][1:3] == ["A long one", "digits"]
    assert "python -m nnzoo.recipes.rnn --config rnn_long" in _records.listing()


def test_a_recipe_of_ones_own_has_its_settings_beside_it(tmp_path):
    program = tmp_path / "mine.py"
    with pytest.raises(InputError, match=r"needs its settings beside it, in mine\.yaml"):
        configs.recipe_config(str(program))
    Path(program.with_suffix(".yaml")).write_text("model: {}\n")
    assert configs.recipe_config(str(program)) == str(tmp_path / "mine.yaml")
    packaged = next(name for name in RECIPES if name in configs.packaged_configs())
    assert configs.recipe_config(packaged) == str(configs.packaged_configs()[packaged])


@pytest.mark.parametrize(("text", "says"), [("model: [", "not valid YAML"), ("- 1\n", "must hold keys")])
def test_what_is_no_config_is_refused(tmp_path, text, says):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=says):
        configs.read_yaml(str(tmp_path / "bad.yaml"))
