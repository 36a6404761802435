"""Training batches that wait are measured once each, whatever their sizes and shapes."""

import pytest
import torch
from sklearn.metrics import accuracy_score, mean_absolute_error, root_mean_squared_error

from nnzoo import MLPClassifier, MLPRegressor
from nnzoo.metrics.waiting import Waiting
from nnzoo.run.states import metric_states, set_metric_states


def batches(*sizes, columns=3):
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(size, columns, generator=generator), torch.arange(size)) for size in sizes]


def given_out(waiting, given):
    """What the batches that wait come out as, in order, and what is left at the end."""
    due = [together for batch in given for together in waiting.add(*batch)]
    return due, waiting.take()


def test_every_sample_comes_out_once_and_in_order():
    given = batches(*range(1, 40))
    due, rest = given_out(Waiting(), given)
    assert [len(numbers) for _, numbers in due] == [sum(range(1, 17)), sum(range(17, 33))]
    for number in (0, 1):
        out = torch.cat([together[number] for together in due + rest])
        assert torch.equal(out, torch.cat([batch[number] for batch in given]))
    assert Waiting().take() == []


def test_batches_of_other_shapes_or_types_are_not_put_together():
    narrow, wide = batches(2, 3), batches(2, columns=5)
    double = [(values.double(), numbers) for values, numbers in batches(4)]
    due, rest = given_out(Waiting(), narrow + wide + double)
    assert [tuple(values.shape) for values, _ in due + rest] == [(5, 3), (2, 5), (4, 3)]
    assert rest[0][0].dtype == torch.float64


def test_a_large_batch_is_measured_at_once_with_those_before_it():
    held = torch.zeros(Waiting.LARGE, 3)  # a slice holds all of it
    waiting = Waiting()
    due, rest = given_out(waiting, [*batches(2), (held[:4], torch.arange(4))])
    assert [len(numbers) for _, numbers in due] == [6]
    assert rest == []


def table(sizes, target):
    """Batches of a table without categories."""
    codes = [torch.empty(size, 0, dtype=torch.long) for size in sizes]
    return [(batch[0], none, target(*batch)) for batch, none in zip(batches(*sizes), codes, strict=True)]


def trained(module, given):
    """The training metrics of a module after some batches."""
    module.train()
    for number, batch in enumerate(given):
        module.training_step(batch, number)
    for together in module.waiting.take():
        module.measure("train", *together)
    return {name: float(value) for name, value in module.metrics["train"].compute().items()}


SIZES = [5, 1, 7, *[4] * 30]


def test_the_accuracy_of_training_is_that_of_all_its_samples():
    module = MLPClassifier(num_numeric=3, num_classes=4)
    given = table(SIZES, lambda values, numbers: numbers % 4)
    found = trained(module, given)
    predicted = torch.cat([module(*inputs).argmax(dim=1) for *inputs, _ in given])
    labels = torch.cat([batch[-1] for batch in given])
    assert found["train/accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    losses = torch.nn.functional.cross_entropy(torch.cat([module.logits(*inputs) for *inputs, _ in given]), labels)
    assert float(module.means.metrics["train/loss"].compute()) == pytest.approx(float(losses.detach()))


def test_errors_of_training_are_those_of_all_its_samples_and_go_on_from_a_checkpoint_with_the_same_bits():
    given = table(SIZES, lambda values, numbers: values.sum(dim=1))
    module, whole, resumed = (MLPRegressor(num_numeric=3) for _ in range(3))
    for other in (whole, resumed):
        other.load_state_dict(module.state_dict())
    found = trained(whole, given)
    target = torch.cat([batch[-1] for batch in given])
    predicted = torch.cat([whole(*inputs).detach() for *inputs, _ in given])
    assert found["train/mae"] == pytest.approx(mean_absolute_error(target, predicted), rel=1e-5)
    assert found["train/rmse"] == pytest.approx(root_mean_squared_error(target, predicted), rel=1e-5)

    for number, batch in enumerate(given[:21]):
        module.training_step(batch, number)
    states = metric_states(module)
    assert len(states["waiting"]["waiting"]) == 5
    set_metric_states(resumed, states)
    assert trained(resumed, given[21:]) == found
    assert float(resumed.means.metrics["train/loss"].compute()) == float(whole.means.metrics["train/loss"].compute())


def test_a_module_whose_metrics_need_the_batch_gets_each_by_itself():
    class Own(MLPClassifier):
        def update_metrics(self, metrics, measured, batch):
            self.sizes = [*getattr(self, "sizes", []), len(batch[0])]
            super().update_metrics(metrics, measured, batch)

    module = Own(num_numeric=3, num_classes=4)
    for batch in table([2, 3], lambda values, numbers: numbers % 4):
        module.training_step(batch, 1)
    assert module.sizes == [2, 3]
