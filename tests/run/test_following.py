"""Settings of the data that follow from the model's, and of the model that a checkpoint or the data's task knows."""

from typing import ClassVar

import torch
import yaml
from jsonargparse import Namespace

from nnzoo import BertClassifier, BertRegressor, TabularDataModule
from nnzoo.modules.base import ZooModule
from nnzoo.run.arguments import Arguments, parse
from nnzoo.run.configs import read_yaml, recipe_config
from nnzoo.run.following import for_task, take_found, with_following


class Data(TabularDataModule):
    follows: ClassVar = {"csv": "optimizer"}


class Follower(ZooModule):
    found_out = ("momentum",)


def flags(*args, recipe="mlp"):
    given = len(args) - 2 * args.count("--config")
    return with_following(parse(list(args), recipe, [], []), recipe, [TabularDataModule, Data]).flags[given:]


def test_a_setting_follows_from_a_flag_in_either_way_of_writing_and_the_last_one_counts():
    assert flags("--model.optimizer", "rmsprop") == ["--data.csv=rmsprop"]
    assert flags("--model.optimizer=sgd", "--model.optimizer", "rmsprop") == ["--data.csv=rmsprop"]
    assert flags("--model.optimizer", "null") == []
    assert flags() == []


def test_it_follows_from_a_config_but_a_flag_wins(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump({"model": {"optimizer": "sgd"}}))
    assert flags("--config", str(config)) == ["--data.csv=sgd"]
    assert flags("--config", str(config), "--model.optimizer", "adamw") == ["--data.csv=adamw"]
    config.write_text(yaml.safe_dump({"model": {"class_path": "my.Own", "init_args": {"optimizer": "sgd"}}}))
    assert flags("--config", str(config)) == ["--data.csv=sgd"]


def test_what_the_user_gives_is_left_alone(tmp_path):
    assert flags("--model.optimizer", "sgd", "--data.csv", "mine.csv") == []
    assert flags("--model.optimizer", "sgd", "--data.csv=mine.csv") == []
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump({"data": {"csv": "mine.csv"}}))
    assert flags("--config", str(config), "--model.optimizer", "sgd") == []


def test_what_a_recipe_sets_itself_follows(tmp_path, monkeypatch):
    """As the model that it was for may be another now; also of a program of one's own."""
    program = tmp_path / "own.py"
    program.with_suffix(".yaml").write_text(yaml.safe_dump({"data": {"csv": "a.csv"}, "model": {"optimizer": "sgd"}}))
    assert recipe_config(str(program)) == str(program.with_suffix(".yaml"))
    assert flags("--model.optimizer", "rmsprop", recipe=str(program)) == ["--data.csv=rmsprop"]
    assert flags(recipe=str(program)) == ["--data.csv=sgd"]


def test_data_without_such_settings_change_nothing():
    parsed = parse(["--model.optimizer", "sgd"], "mlp", [], [])
    assert with_following(parsed, "mlp", [TabularDataModule]).flags == ["--model.optimizer", "sgd"]


def test_what_only_another_task_knows_is_left_out_of_the_recipes_own_settings_alone(tmp_path):
    """So bert smooths labels, and still takes numbers as targets."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"model": {"label_smoothing": 0.2}}))
    parsed = parse(["--config", str(mine)], "bert", [], [])
    classifies = for_task(parsed, BertClassifier, [BertClassifier, BertRegressor])
    assert classifies.configs == parsed.configs
    assert classifies.default_configs == [recipe_config("bert")]
    regresses = for_task(parsed, BertRegressor, [BertClassifier, BertRegressor])
    own, whole = read_yaml(regresses.configs[0]), read_yaml(recipe_config("bert"))
    assert whole["model"].pop("label_smoothing") > 0
    assert own == whole
    assert regresses.configs[1:] == [str(mine)], "a setting of the user's is not dropped without a word"
    assert regresses.default_configs == []
    assert regresses.configs[0] in regresses.command_line()


def test_a_checkpoint_gives_what_was_found_out_and_is_not_given(tmp_path):
    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": {"momentum": 0.5, "lr": 0.1}}, path)
    settings = Namespace(momentum=None, lr=None)
    take_found(Arguments("test", False, ckpt_path=path), Follower, settings)
    assert (settings.momentum, settings.lr) == (0.5, None)
    settings = Namespace(momentum=0.7, lr=None)
    take_found(Arguments("test", False, ckpt_path=path), Follower, settings)
    assert settings.momentum == 0.7
    take_found(Arguments("test", False, ckpt_path=tmp_path / "absent.ckpt"), ZooModule, settings)
    take_found(Arguments("fit", True), Follower, Namespace(momentum=None))
