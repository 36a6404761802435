"""A row of a table of predictions is what the model says of that sample."""

import numpy as np
import torch

from nnzoo import Autoencoder, Forecaster, MLPClassifier, MLPRegressor, Seq2Seq, SequenceTagger
from nnzoo.tokens import SPECIAL, Characters
from support.sequences import step_batches

CLASSES = ["ant", "bee", "cat"]


def batches(module, *parts):
    """What ``predict_step`` returns for batches, without gradients."""
    with torch.no_grad():
        return [module.eval().predict_step(part, number) for number, part in enumerate(parts)]


def test_a_row_of_a_classifier_has_the_probability_of_each_class_under_its_name():
    module, numbers = MLPClassifier(num_numeric=4, num_classes=3), torch.randn(7, 4)
    columns = module.prediction_columns(batches(module, numbers[:5], numbers[5:]), {"classes": CLASSES})
    assert list(columns) == ["predicted", "p(ant)", "p(bee)", "p(cat)"]
    probabilities = module(numbers).detach().numpy()
    for number, name in enumerate(CLASSES):
        np.testing.assert_allclose(columns[f"p({name})"], probabilities[:, number], rtol=1e-5)
    assert columns["predicted"] == [CLASSES[number] for number in probabilities.argmax(axis=1)]
    assert list(module.prediction_columns(batches(module, numbers), {})) == ["predicted", "p(0)", "p(1)", "p(2)"]


def test_a_row_of_a_regressor_is_in_the_targets_units():
    module, numbers = MLPRegressor(num_numeric=4, target_mean=100.0, target_std=5.0), torch.randn(7, 4)
    columns = module.prediction_columns(batches(module, numbers[:5], numbers[5:]), {})
    np.testing.assert_allclose(columns["predicted"], 100 + 5 * module.net(numbers).detach(), rtol=1e-5)


def test_rows_of_a_tagger_are_the_valid_steps_of_each_sequence_in_turn():
    for multilabel in (False, True):
        module = SequenceTagger(num_inputs=3, num_classes=3, multilabel=multilabel)
        given = [batch[:2] for batch in step_batches(multilabel)]
        columns = module.prediction_columns(batches(module, *given), {"classes": CLASSES})
        expected = []
        for inputs, lengths in given:
            for row, length in enumerate(lengths):  # each alone
                expected += list(module(inputs[row : row + 1, :length]).detach()[0])
        assert len(columns["predicted"]) == len(expected) == 19
        for number, name in enumerate(CLASSES):
            np.testing.assert_allclose(columns[f"p({name})"], torch.stack(expected)[:, number], rtol=1e-4)
        if multilabel:
            on = [" ".join(n for n, p in zip(CLASSES, row, strict=True) if p > 0.5) for row in expected]
            assert columns["predicted"] == on
        else:
            assert columns["predicted"] == [CLASSES[int(row.argmax())] for row in expected]


def test_rows_of_a_forecaster_are_the_steps_of_each_window_in_turn_under_the_targets_names():
    settings = {"history": 6, "horizon": 2, "columns": ["x", "y"], "target_columns": [1, 0]}
    module = Forecaster(**settings, column_mean=[1.0, 50.0], column_std=[2.0, 10.0])
    history = torch.randn(3, 6, 2)
    columns = module.prediction_columns(batches(module, history[:2], history[2:]), {})
    assert list(columns) == ["y", "x"]
    forecast = module(history).detach()
    for number, name in enumerate(columns):
        steps = [float(forecast[window, step, number]) for window in range(3) for step in range(2)]
        np.testing.assert_allclose(columns[name], steps, rtol=1e-5)


def test_a_row_of_an_autoencoder_is_the_error_of_its_image():
    module, images = Autoencoder(in_shape=(1, 3, 4), latent_dim=2, hidden=(5,)), torch.rand(5, 1, 3, 4)
    columns = module.prediction_columns(batches(module, (images[:3],), (images[3:],)), {})
    expected = ((module(images) - images) ** 2).mean(dim=(1, 2, 3)).detach()
    np.testing.assert_allclose(columns["anomaly_score"], expected, rtol=1e-5)


def test_a_row_of_strings_is_what_the_model_translates():
    vocabulary = [*SPECIAL, *"abc"]
    module = Seq2Seq(vocabulary=vocabulary, max_source_length=4, max_target_length=6, hidden_size=8)
    texts = ["ab", "c", "bca", "aa"]
    source, lengths = Characters(vocabulary).sources(texts)
    given = batches(module, (source[:3], lengths[:3]), (source[3:], lengths[3:]))
    assert module.prediction_columns(given, {})["predicted"] == module.translate(texts)
