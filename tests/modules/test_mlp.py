"""Linear and logistic regression against closed forms and scikit-learn; penalties, weights, metrics."""

import lightning as L
import numpy as np
import pytest
import sklearn.metrics
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from nnzoo import InputError, MLPClassifier, MLPRegressor, TabularDataModule
from nnzoo.baselines.tables import supervised_baselines
from nnzoo.metrics.supervised import StandardizedR2
from support.found import linked


def fit_to_the_optimum(module, batch):
    """Full-batch L-BFGS on the training loss, to machine precision."""
    module.double().train()
    batch = tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in batch)
    optimizer = torch.optim.LBFGS(
        module.parameters(), max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        return loss

    optimizer.step(closure)
    return module.net.mlp.layers[0]


def whole(data):
    data.setup()
    part = data.parts["train"]
    return part.numeric, part.categories, part.labels


@pytest.mark.parametrize("alpha", [0.0, 1.0, 30.0])
def test_linear_regression_reaches_the_optimum_of_the_normal_equations_with_a_free_intercept(alpha):
    data = TabularDataModule(dataset="diabetes")
    numeric, codes, target = whole(data)
    n = len(target)
    mean, std = target.double().mean().item(), target.double().std(correction=0).item()
    model = MLPRegressor(num_numeric=10, target_mean=mean, target_std=std, hidden=[], l2=2 * alpha / n)
    layer = fit_to_the_optimum(model, (numeric, codes, target))
    x = np.concatenate([np.ones((n, 1)), numeric.numpy()], axis=1).astype(np.float64)
    y = (target.double().numpy() - mean) / std
    normal = np.linalg.solve(x.T @ x + alpha * np.diag([0.0] + [1.0] * 10), x.T @ y)
    ours = np.concatenate([layer.bias.detach().numpy(), layer.weight.detach().numpy()[0]])
    np.testing.assert_allclose(ours, normal, atol=1e-6)
    reference = Ridge(alpha).fit(x[:, 1:], y)
    np.testing.assert_allclose(layer.weight.detach().numpy()[0], reference.coef_, atol=1e-6)


@pytest.mark.parametrize("c", [0.1, 1.0])
@pytest.mark.parametrize("name", ["iris", "wine"])
def test_logistic_regression_reaches_the_optimum_of_scikit_learn(name, c):
    data = TabularDataModule(dataset=name)
    numeric, codes, labels = whole(data)
    model = MLPClassifier(
        num_numeric=data.num_numeric, num_classes=data.num_classes, hidden=[], l2=1 / (c * len(labels))
    )
    layer = fit_to_the_optimum(model, (numeric, codes, labels))
    reference = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(numeric.double().numpy(), labels.numpy())
    np.testing.assert_allclose(layer.weight.detach().numpy(), reference.coef_, atol=1e-4)
    # The softmax does not see a shift of all intercepts.
    bias = layer.bias.detach().numpy()
    np.testing.assert_allclose(bias - bias.mean(), reference.intercept_ - reference.intercept_.mean(), atol=1e-4)


def trainer(**settings):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    return L.Trainer(**{"enable_model_summary": False, "use_distributed_sampler": False, **quiet, **settings})


@pytest.mark.parametrize("stage", ["val", "test"])
def test_the_reported_metrics_are_scikit_learns_over_unequal_batches(stage):
    data = TabularDataModule(dataset="wine", batch_size=10)
    model = MLPClassifier(num_numeric=13, num_classes=3, hidden=[4])
    measure = trainer().test if stage == "test" else trainer().validate
    (reported,) = measure(model, data, verbose=False)
    part = data.parts[stage]
    with torch.no_grad():
        probabilities = model.eval()(part.numeric, part.categories)
    truth, predicted = part.labels.numpy(), probabilities.argmax(1).numpy()
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(truth, predicted),
        "f1": sklearn.metrics.f1_score(truth, predicted, **macro),
        "precision": sklearn.metrics.precision_score(truth, predicted, **macro),
        "recall": sklearn.metrics.recall_score(truth, predicted, **macro),
        "loss": sklearn.metrics.log_loss(truth, probabilities.double().numpy()),
    }
    for name, value in expected.items():
        assert reported[f"{stage}/{name}"] == pytest.approx(value, abs=1e-6), name
    if stage == "test":
        expected_counts = sklearn.metrics.confusion_matrix(truth, predicted, labels=range(3))
        assert model.confusion_counts.tolist() == expected_counts.tolist()


def test_regression_is_measured_in_the_targets_own_units():
    data = TabularDataModule(dataset="diabetes", batch_size=10)
    model = MLPRegressor(num_numeric=10, target_mean=data.target_mean, target_std=data.target_std)
    (reported,) = trainer().test(model, data, verbose=False)
    part = data.parts["test"]
    with torch.no_grad():
        predicted = model.eval()(part.numeric, part.categories).numpy()
    truth = part.labels.numpy()
    assert reported["test/rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(truth, predicted), rel=1e-5)
    assert reported["test/mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(truth, predicted), rel=1e-5)
    assert reported["test/r2"] == pytest.approx(sklearn.metrics.r2_score(truth, predicted), rel=1e-5)
    assert reported["test/loss"] == pytest.approx(reported["test/rmse"] ** 2 / data.target_std**2, rel=1e-5)


@pytest.mark.parametrize("batch_size", [3, 8])
def test_the_weight_of_the_penalties_does_not_depend_on_the_batch_size(batch_size):
    plain, penalised = (
        MLPClassifier(num_numeric=4, num_classes=3, hidden=[5], l1=a, l2=b) for a, b in [(0, 0), (0.1, 0.2)]
    )
    penalised.load_state_dict(plain.state_dict())
    batch = torch.randn(batch_size, 4), torch.zeros(batch_size, 0, dtype=torch.int64), torch.zeros(batch_size).long()
    weights = [layer.weight for layer in plain.net.mlp.layers if isinstance(layer, nn.Linear)]
    penalty = sum(0.1 * w.abs().sum() + 0.1 * w.square().sum() for w in weights)
    torch.testing.assert_close(penalised.training_step(batch, 0), plain.training_step(batch, 0) + penalty)


def test_balanced_class_weights_come_from_the_training_part_and_act_in_training_only():
    data = TabularDataModule(dataset="breast_cancer")
    model = MLPClassifier(num_numeric=data.num_numeric, num_classes=2, class_weights="balanced")
    trainer(max_epochs=1, limit_train_batches=1).fit(model, data)
    torch.testing.assert_close(model.class_weight, data.class_weights)
    outputs, labels = torch.randn(6, 2), torch.tensor([0, 1, 0, 1, 1, 1])
    assert not torch.equal(model.train().loss(outputs, labels), model.eval().loss(outputs, labels))
    loaded = MLPClassifier(**model.hparams)
    loaded.load_state_dict(model.state_dict())
    torch.testing.assert_close(loaded.class_weight, data.class_weights)


def test_label_smoothing_shapes_the_training_loss_only():
    plain, smooth = (MLPClassifier(num_numeric=4, num_classes=3, label_smoothing=s) for s in (0.0, 0.3))
    outputs, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    torch.testing.assert_close(smooth.eval().loss(outputs, labels), plain.eval().loss(outputs, labels))
    assert not torch.equal(smooth.train().loss(outputs, labels), plain.train().loss(outputs, labels))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 1}, "needs two classes or more, the data have 1"),
        ({"label_smoothing": 1.0}, "label_smoothing goes from 0 to below 1"),
        ({"l1": -1.0}, "l1 and l2 must not be negative"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"hidden": [8, 0]}, "hidden must be positive"),
        ({"norm": "group"}, "There is no norm 'group'"),
        ({"class_weights": "auto"}, "There is no class_weights 'auto'"),
        ({"lr": 0.0}, "lr must be above 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        MLPClassifier(**settings)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.randn(2, 4), torch.tensor([0, 3])), r"Labels must lie in 0 .. 2, got 0 .. 3"),
        ((torch.randn(2, 4), torch.tensor([-1, 0])), r"Labels must lie in 0 .. 2, got -1 .. 0"),
        ((torch.tensor([[1.0, 2, 3, float("nan")]]), torch.tensor([0])), "NaN or infinite values"),
    ],
)
@pytest.mark.parametrize("step", ["training_step", "validation_step", "test_step"])
def test_batches_that_cannot_be_used_are_refused(step, batch, message):
    numeric, labels = batch
    model = MLPClassifier(num_numeric=4, num_classes=3)
    with pytest.raises(InputError, match=message):
        getattr(model, step)((numeric, torch.zeros(len(labels), 0, dtype=torch.int64), labels), 0)


def test_a_constant_target_is_refused():
    with pytest.raises(InputError, match="The target is constant"):
        MLPRegressor(target_std=0.0)


@pytest.mark.parametrize(("named", "positive"), [(None, 1), ("benign", 0)])
def test_two_classes_have_scikit_learns_metrics_of_the_positive_one_and_averages(make_trainer, caplog, named, positive):
    data = TabularDataModule(dataset="breast_cancer")
    model = MLPClassifier(**linked(MLPClassifier, data), hidden=[4], positive_class=named)
    trainer = make_trainer(max_epochs=1)
    with caplog.at_level("INFO"):
        trainer.fit(model, data)
    assert f"are of the class {data.classes[positive]} (--model.positive_class)" in caplog.text
    (reported,) = trainer.test(model, data, verbose=False)
    part = data.parts["test"]
    with torch.no_grad():
        shares = model.eval()(part.numeric, part.categories).numpy()
    true, predicted = part.labels.numpy(), shares.argmax(axis=1)
    expected = {
        "auroc": sklearn.metrics.roc_auc_score(true == positive, shares[:, positive]),
        "average_precision": sklearn.metrics.average_precision_score(true == positive, shares[:, positive]),
    }
    for name in ("f1", "precision", "recall"):
        score = getattr(sklearn.metrics, f"{name}_score")
        expected[name] = score(true, predicted, pos_label=positive)
        expected[f"macro_{name}"] = score(true, predicted, average="macro")
    assert {name: reported[f"test/{name}"] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_a_positive_class_must_be_one_of_two():
    with pytest.raises(InputError, match="positive_class is one of two classes, these data have a, b: got 'c'"):
        MLPClassifier(num_classes=2, classes=["a", "b"], positive_class="c")
    with pytest.raises(InputError, match="positive_class is one of two"):
        MLPClassifier(num_classes=3, classes=["a", "b", "c"], positive_class="c")


def test_r2_is_right_for_a_target_far_from_zero():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(1000, generator=generator, dtype=torch.float64)
    predicted = target + 0.1 * torch.randn(1000, generator=generator, dtype=torch.float64)
    metric = StandardizedR2(1e9, 1e5)
    for chunk in range(0, 1000, 100):
        metric.update(*((1e9 + 1e5 * values[chunk : chunk + 100]).float() for values in (predicted, target)))
    assert metric.compute().item() == pytest.approx(sklearn.metrics.r2_score(target, predicted), abs=1e-4)


def test_the_baselines_see_categories_as_categories_and_a_standardised_target():
    """A target that is high for the middle code: codes as numbers would tell a linear model nothing."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 300)
    inputs = np.stack([rng.normal(size=300), codes], axis=1)
    target = 1e6 + 1e4 * (codes == 1) + 10 * rng.normal(size=300)
    found = supervised_baselines((inputs[:200], target[:200]), (inputs[200:], target[200:]), "regression", [1])
    assert {name: metrics["r2"] > 0.99 for name, metrics in found.items()} == dict.fromkeys(found, True)
    labels = (codes == 1).astype(int)
    found = supervised_baselines((inputs[:200], labels[:200]), (inputs[200:], labels[200:]), "classification", [1])
    assert {name: metrics["accuracy"] for name, metrics in found.items()} == dict.fromkeys(found, 1.0)
