"""The rule of the house: a family is its stem, imports go down only, and nothing that is shared names a family."""

import ast
import re
from pathlib import Path

import pytest

import nnzoo
from nnzoo.run.configs import recipe_stems

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "nnzoo"
GROUND = ("errors", "files", "seeds", "timing", "parameters")
ORDER = ("recipes", "run", "baselines", "callbacks", "modules", "data", "nets", "plots", "metrics", "tokens")
"""Each imports what stands behind it, and the ground; ``__init__`` alone knows all, but only by name."""
BESIDE = {"plots": {"metrics", "tokens"}, "metrics": {"tokens"}}
HOMES = re.compile(r"nnzoo\.(?:modules|nets|recipes)\.(\w+)\.")
FILES = {path: ast.parse(path.read_text()) for path in [*SOURCE.rglob("*.py"), *(ROOT / "recipes").glob("*.py")]}


def room(path):
    """The room of a file: its folder in the package, or its name on the ground."""
    if path.is_relative_to(ROOT / "recipes"):
        return "recipes"
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(tree):
    """The rooms that a file imports from."""
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    names += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    return {name.split(".")[1] for name in names if name.startswith("nnzoo.")}


def families():
    """Stems and public classes of the families: modules that others derive from have no public name."""
    homes = {name: home for name, home in nnzoo._HOME.items() if home.startswith("nnzoo.modules.")}
    return {home.rpartition(".")[2] for home in homes.values()} | set(recipe_stems()), set(homes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    own, imported = room(path), imported_rooms(FILES[path])
    if own == "__init__":
        assert not imported
    elif own in GROUND:
        assert imported <= set(GROUND[: GROUND.index(own)] if own != "parameters" else GROUND)
    else:
        below = set(ORDER[ORDER.index(own) :]) - BESIDE.get(own, set())
        assert imported <= below | set(GROUND)


def shared_files():
    """Files that serve all families: of the package, and the tests that run over all."""
    yield from sorted((SOURCE / "run").glob("*.py"))
    yield SOURCE / "modules" / "base.py"
    yield from (ROOT / "tests" / f"test_{name}.py" for name in ("contracts", "resume", "devices"))


@pytest.mark.parametrize("path", list(shared_files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_serves_all_families_names_none(path):
    """Neither in code nor in a text that code uses; documentation may give examples."""
    stems, classes = families()
    tree = ast.parse(path.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        named = set()
        if isinstance(node, ast.Name | ast.alias):
            named = {getattr(node, "id", None) or node.name} & classes
        elif isinstance(node, ast.ImportFrom):
            named = set(HOMES.findall(f"{node.module}.")) & stems
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            whole = {node.value} | set(HOMES.findall(f"{node.value}."))
            named = whole & stems | set(re.findall(r"\w+", node.value)) & classes
        assert not named, f"line {node.lineno} names {named}"


@pytest.mark.parametrize("stem", recipe_stems())
def test_a_recipe_has_a_module_and_tests_of_its_stem(stem):
    assert (SOURCE / "modules" / f"{stem}.py").is_file()
    assert list((ROOT / "tests" / "modules").glob(f"test_{stem}*.py"))


def test_every_family_has_a_recipe_of_its_stem():
    """A file beside it, such as mlp_something, has the stem in front."""
    stems, _ = families()
    assert all(any(f"{stem}_".startswith(f"{recipe}_") for recipe in recipe_stems()) for stem in stems)


def test_every_case_is_of_a_family():
    cases = {path.stem for path in (ROOT / "tests" / "cases").glob("[!_]*.py")}
    toys = {path.stem for path in (ROOT / "tests" / "toys").glob("*.yaml")}
    assert cases <= set(recipe_stems()) | toys


def test_the_packages_that_are_installed_are_those_that_exist():
    """A forgotten folder would be absent from the wheel, while editable installs have it."""
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.relative_to(SOURCE.parent) for path in SOURCE.rglob("__init__.py")}
    assert sorted(settings["packages"]) == sorted([".".join(f.parts) for f in folders] + ["nnzoo.recipes"])
    used = {path.parent.relative_to(SOURCE.parent) for path in SOURCE.rglob("*.py")}
    assert used == folders, "a folder without __init__.py is no package"


def test_the_stub_is_the_one_list_of_public_names():
    for name, home in nnzoo._HOME.items():
        value = getattr(nnzoo, name)
        assert value.__module__ == home
        assert value.__name__ == name
    assert nnzoo.__all__ == sorted(nnzoo._HOME)


def test_files_are_short_enough_to_read():
    paths = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    long = {str(path.relative_to(ROOT)): n for path in paths if (n := len(path.read_text().splitlines())) > 300}
    assert not long


def test_every_mark_has_tests():
    """A mark without a test promises a check that nobody makes."""
    listed = re.findall(r'^  "(\w+): ', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert listed
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    for mark in listed:
        assert any(f"mark.{mark}\n" in text or f"mark.{mark}," in text or f"mark.{mark}]" in text for text in texts), (
            mark
        )
