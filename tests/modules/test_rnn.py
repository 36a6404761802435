import math

import numpy as np
import pandas as pd
import pytest
import torch
from nnzoo.recipes import rnn, tagger

from nnzoo import InputError, SequenceClassifier, SequenceDataModule, SequenceRegressor, SequenceTagger
from nnzoo.modules.recurrent import fresh_net, norms_of
from nnzoo.nets.rnn import CELLS, valid_steps
from support.sequences import LENGTHS, measure, step_batches

QUICK = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "3", "--trainer.accelerator", "cpu"]
QUICK += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
FEW = ["--data.num_samples", "500"]
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def test_the_classifier_reads_the_last_valid_state():
    module = SequenceClassifier(num_inputs=3, num_classes=4).eval()
    inputs = torch.randn(3, 5, 3)
    probabilities = module(inputs, LENGTHS)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))
    for row, length in enumerate(LENGTHS):
        outputs, _ = module.net.encoder.rnn(inputs[row : row + 1, :length])
        expected = module.net.head(outputs[:, -1]).softmax(dim=1)
        torch.testing.assert_close(probabilities[row : row + 1], expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_more_changes_no_prediction(cell, bidirectional):
    settings = {"num_inputs": 3, "cell": cell, "bidirectional": bidirectional, "num_layers": 2}
    inputs = torch.randn(3, 5, 3)
    padded = torch.cat([inputs, torch.randn(3, 4, 3)], dim=1)
    for module in (SequenceClassifier(num_classes=4, **settings), SequenceRegressor(target_std=2.0, **settings)):
        module.eval()
        torch.testing.assert_close(module(padded, LENGTHS), module(inputs, LENGTHS), rtol=0, atol=0)
    tags = SequenceTagger(num_classes=4, **settings).eval()
    valid = valid_steps(LENGTHS, 5)
    torch.testing.assert_close(tags(padded, LENGTHS)[:, :5][valid], tags(inputs, LENGTHS)[valid], rtol=0, atol=0)


def test_the_regressor_answers_in_the_targets_units():
    module = SequenceRegressor(num_inputs=3, target_mean=100.0, target_std=5.0).eval()
    inputs, target = torch.randn(3, 5, 3), torch.tensor([90.0, 100.0, 113.0])
    predicted = module(inputs, LENGTHS).detach()
    torch.testing.assert_close(predicted, 100 + 5 * module.net(inputs, LENGTHS).detach())
    metrics = measure(module, [(inputs, LENGTHS, target)])
    mse = float((predicted - target).square().mean())
    assert metrics["test/mse"] == pytest.approx(mse, rel=1e-5)
    assert metrics["test/loss"] == pytest.approx(mse / 25, rel=1e-5)


def test_inputs_that_are_not_finite_are_refused():
    module = SequenceClassifier(num_inputs=3, num_classes=4)
    with pytest.raises(InputError, match="NaN or infinite"):
        module.training_step((torch.full((3, 5, 3), math.nan), LENGTHS, torch.zeros(3, dtype=torch.long)), 0)


def test_the_gradient_picture_leaves_the_global_generator_and_the_weights_alone():
    module = SequenceClassifier(num_inputs=3, num_classes=4).eval()
    batch = (torch.randn(3, 5, 3), LENGTHS, torch.tensor([0, 1, 2]))
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    with torch.inference_mode():
        figures = module.figures(batch, {})
    assert "gradient_norms" in figures
    (axis,) = figures["gradient_norms"].axes
    assert {line.get_label() for line in axis.lines} == {*(f"{cell}, untrained" for cell in CELLS), "lstm, this run"}
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(module.state_dict(), weights, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_fresh_networks_have_the_modules_size():
    module = SequenceTagger(num_inputs=3, num_classes=4, hidden_size=7, num_layers=2, bidirectional=True)
    net = fresh_net(module, "gru")
    assert (net.encoder.hidden_size, net.encoder.num_layers, net.encoder.bidirectional) == (7, 2, False)
    assert norms_of(net, module, step_batches()[0]).shape == (5,)


def test_comparing_cells_prints_them_side_by_side_and_draws_their_gradients(in_tmp, capsys):
    flags = ["--config", "rnn_adding", "--data.length", "12", "--compare_cells", *QUICK, *FEW]
    metrics = rnn.main(flags)
    assert {f"{cell}/mse" for cell in CELLS} < set(metrics)
    header = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("metric")][-1]
    assert header == ["metric", "rnn", "gru", "lstm", "mean"]
    assert len(list(in_tmp.rglob("gradient_norms_of_cells.png"))) == 1


@pytest.mark.parametrize("flags", [["--model.cell", "gru"], ["--model.cell=gru"], ["--resume", "x"]])
def test_comparing_cells_refuses_what_contradicts_it(flags):
    with pytest.raises(InputError, match="trains and tests every cell"):
        rnn.main(["--compare_cells", *flags])


def test_the_baseline_of_the_adding_problem_is_a_sixth(in_tmp):
    metrics = rnn.main(["--config", "rnn_adding", "--data.length", "12", *QUICK, *FEW])
    test = SequenceDataModule(dataset="adding", length=12, num_samples=500)
    test.setup()
    errors = (test.parts["test"].targets.double() - 1).square()
    assert metrics["baseline/mean/mse"] == pytest.approx(float(errors.mean()), abs=5e-3)
    assert metrics["baseline/mean/mse"] == pytest.approx(1 / 6, abs=4 * float(errors.std()) / math.sqrt(1000))


def test_the_baselines_of_copy_memory_are_those_of_a_net_without_memory(in_tmp):
    metrics = tagger.main([*QUICK, "--data.num_samples", "20000"])
    assert metrics["baseline/position/nll"] == pytest.approx(5 * math.log(8) / 20, rel=0.01)
    assert metrics["baseline/position/accuracy"] == pytest.approx((15 + 5 / 8) / 20, abs=0.01)
    shares = [15 / 20, *[5 / 20 / 8] * 8]
    assert metrics["baseline/frequency/nll"] == pytest.approx(-sum(p * math.log(p) for p in shares), rel=0.01)


def test_the_majority_class_is_the_baseline_of_a_classifier(in_tmp):
    metrics = rnn.main(QUICK)
    data = SequenceDataModule(dataset="digits")
    data.setup()
    most = int(torch.bincount(data.parts["train"].targets).argmax())
    assert metrics["baseline/majority/accuracy"] == pytest.approx(
        float((data.parts["test"].targets == most).float().mean())
    )


@pytest.mark.parametrize(("target", "main", "metric"), [
    ("kind", rnn.main, "accuracy"), ("weight", rnn.main, "rmse"), ("state", tagger.main, "nll")])  # fmt: skip
def test_a_csv_of_ones_own_trains_the_module_that_fits_its_target(target, main, metric, in_tmp):
    rng = np.random.default_rng(0)
    rows = [{"id": group, "t": step, "x": rng.normal(), "kind": "ab"[group % 2], "weight": group / 7,
             "state": "xyz"[rng.integers(3)]} for group in range(60) for step in range(rng.integers(2, 9))]  # fmt: skip
    columns = ["id", "t", "x", target]
    pd.DataFrame(rows)[columns].to_csv("steps.csv", index=False)
    flags = ["--data.csv", "steps.csv", "--data.target", target, "--data.group", "id", "--data.time", "t"]
    metrics = main([*QUICK, *flags, "--data.batch_size", "8"])
    assert math.isfinite(metrics[f"test/{metric}"])


@pytest.mark.parametrize(("main", "dataset"), [(rnn.main, "copy"), (tagger.main, "adding"), (tagger.main, "digits")])
def test_data_of_another_task_are_refused(main, dataset):
    with pytest.raises(InputError, match="these data are for"):
        main(["--data.dataset", dataset])


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_gated_cells_learn_to_add_over_a_hundred_and_fifty_steps_and_a_plain_rnn_does_not(cell, in_tmp):
    metrics = rnn.main(["--config", "rnn_adding", "--model.cell", cell, "--trainer.accelerator", "cpu",
                        "--trainer.enable_progress_bar", "false"])  # fmt: skip
    if cell == "rnn":
        assert metrics["test/mse"] > 0.1
    else:
        assert metrics["test/mse"] < 0.01
