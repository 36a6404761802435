"""What a checkpoint carries beside weights: random generators and metrics, restored as they were."""

import random
from pathlib import Path

import numpy as np
import torch
from torchmetrics import MeanMetric

from nnzoo.run.resume import last_checkpoint
from nnzoo.run.states import metric_states, random_states, set_metric_states, set_random_states


def drawn():
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


def test_every_generator_goes_on_where_it_was():
    states = random_states()
    first = drawn()
    assert all(one != other for one, other in zip(first, drawn(), strict=True))
    set_random_states(states)
    assert drawn() == first


class Measured(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.mean, self.fresh = torch.nn.Linear(1, 1), MeanMetric(), MeanMetric()


def test_a_metric_goes_on_from_what_it_had_seen():
    one, other = Measured(), Measured()
    one.mean.update(torch.tensor([1.0, 2.0, 6.0]))
    states = metric_states(one)
    assert set(states) == {"mean"}, "those that have seen nothing are left out"
    set_metric_states(other, states)
    assert other.mean.update_called
    other.mean.update(11.0)
    assert float(other.mean.compute()) == 5.0
    assert other.mean.update_count == 2


def test_a_run_goes_on_from_its_newest_checkpoint(tmp_path):
    """Times of change do not survive copying; the steps count."""
    (tmp_path / "config.yaml").write_text("")
    for name, steps in (("last", 5), ("best", 3), ("step", 7)):
        torch.save({"state_dict": {}, "optimizer_states": [], "global_step": steps}, tmp_path / f"{name}.ckpt")
    assert last_checkpoint(Path(tmp_path)).stem == "step"
    (tmp_path / "step.ckpt").unlink()
    assert last_checkpoint(Path(tmp_path)).stem == "last"
