import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils.data import DataLoader

from nnzoo.baselines.images import histogram_bits
from nnzoo.errors import InputError
from nnzoo.modules.sequence_generator import SequenceGenerator

CELLS = ["rnn", "lstm", "gru"]
TINY = {"in_shape": (1, 2, 2), "levels": 3, "num_classes": 2, "hidden_size": 6}
SMALL = {"in_shape": (2, 4, 3), "levels": 17, "num_classes": 3, "hidden_size": 6}


def model(sizes=TINY, **settings):
    torch.manual_seed(0)
    module = SequenceGenerator(**{**sizes, **settings}).eval()
    module.net.head.weight.data *= 4  # rows that matter for those below
    return module


def images_of(count, sizes=SMALL):
    return torch.randint(sizes["levels"], (count, *sizes["in_shape"])) / (sizes["levels"] - 1)


def every_image():
    """All images of three levels and four pixels."""
    return torch.tensor(list(itertools.product([0.0, 0.5, 1.0], repeat=4))).view(81, 1, 2, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("label", [0, 1])
def test_the_probabilities_of_all_images_of_a_class_add_up_to_one(cell, label):
    log_likelihood = model(cell=cell).log_likelihood(every_image(), torch.full((81,), label))
    assert log_likelihood.exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_samples_are_as_frequent_as_the_likelihood_says(cell):
    module, labels = model(cell=cell), torch.ones(20_000, dtype=torch.long)
    probabilities = module.log_likelihood(every_image(), torch.ones(81, dtype=torch.long)).exp()
    samples = module.sample(20_000, labels, generator=seeded())
    numbers = (samples.flatten(1) * 2).round().long() @ torch.tensor([27, 9, 3, 1])
    counts = torch.bincount(numbers, minlength=81).double()
    expected = (probabilities.double() / probabilities.double().sum() * 20_000).detach()
    rare = expected < 5
    observed = [*counts[~rare], counts[rare].sum()]
    assert stats.chisquare(observed, [*expected[~rare], expected[rare].sum()]).pvalue > 1e-3


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_depends_on_the_class_and_the_rows_above_only(cell):
    module, images, labels = model(SMALL, cell=cell, num_layers=2), images_of(5), torch.tensor([0, 1, 2, 0, 1])
    params = module.net(images, module.vectors(labels))
    assert params.shape == (5, 4, 4, 3)
    changed = images.clone()
    changed[:, :, 1] = 1 - changed[:, :, 1]
    other = module.net(changed, module.vectors(labels))
    torch.testing.assert_close(other[:, :, :2], params[:, :, :2])
    assert ((other - params)[:, :, 2:].abs().amax(dim=(1, 3)) > 1e-4).all()
    assert not torch.allclose(module.net(images, module.vectors((labels + 1) % 3))[:, :, 0], params[:, :, 0])


@pytest.mark.parametrize("cell", CELLS)
def test_generation_feeds_back_the_rows_it_draws(cell):
    module, vectors = model(SMALL, cell=cell), torch.eye(3)
    seen = []

    def draw(params):
        seen.append(params)
        return module.likelihood.sample(params, seeded(len(seen)))

    images = module.net.generate(vectors, draw)
    assert images.shape == (3, 2, 4, 3)
    torch.testing.assert_close(torch.cat(seen, dim=2), module.net(images, vectors))


def test_a_gaussian_density_is_measured_on_dequantised_images_and_reported_in_bits(make_trainer):
    module, images = model(SMALL, likelihood="gaussian"), images_of(400)
    labels = torch.arange(400) % 3
    loader = DataLoader([(images[:300], labels[:300]), (images[300:], labels[300:])], batch_size=None)
    first, again = (make_trainer().test(module, loader, verbose=False)[0] for _ in range(2))
    assert first == again
    nats = np.mean([-module.log_likelihood(images, labels, seeded(seed)).mean().item() for seed in range(5)])
    assert first["test/loss"] == pytest.approx(nats, rel=1e-2)
    assert first["test/bits_per_dim"] == pytest.approx((first["test/loss"] / 24 + math.log(16)) / math.log(2), rel=1e-4)
    discrete = make_trainer().test(model(SMALL), loader, verbose=False)[0]
    assert discrete["test/bits_per_dim"] == pytest.approx(discrete["test/loss"] / 24 / math.log(2), rel=1e-4)


def test_forward_is_bayes_rule_with_equally_frequent_classes(make_trainer):
    module, images = model(), every_image()
    labels = torch.arange(81) % 2
    p = torch.stack([module.log_likelihood(images, torch.full((81,), y)).exp() for y in (0, 1)], dim=1)
    expected = p / p.sum(dim=1, keepdim=True)
    torch.testing.assert_close(module(images), expected)
    (results,) = make_trainer().test(module, DataLoader([(images, labels)], batch_size=None), verbose=False)
    assert results["test/accuracy"] == pytest.approx((expected.argmax(dim=1) == labels).float().mean().item())


def test_the_input_noise_is_for_what_is_read_in_training_and_not_for_what_is_scored(monkeypatch):
    images, labels = images_of(5), torch.tensor([0, 1, 2, 0, 1])
    quiet, noisy = model(SMALL), model(SMALL, input_noise=0.5)
    plain = quiet.log_likelihood(images, labels)
    torch.testing.assert_close(noisy.log_likelihood(images, labels), plain)
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self: self.fill_(1.0))
    expected = quiet.likelihood.log_prob(images, quiet.net(images + 0.5, quiet.vectors(labels)))
    torch.testing.assert_close(noisy.train().log_likelihood(images, labels), expected)


def test_samples_of_a_generator_are_reproducible_and_have_the_levels_of_the_data():
    module = model(SMALL)
    first, again, other = (module.sample(6, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.testing.assert_close(first * 16, (first * 16).round())
    assert torch.equal(module.sample(3, mean=True), module.sample(3, mean=True))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_classes": 0}, "use data with labels"),
        ({"levels": 2}, "set --data.binarize none"),
        ({"input_noise": -1.0}, "input_noise must not be negative"),
        ({"hidden_size": 0}, "hidden_size must be positive"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"likelihood": "bernoulli"}, "choose one of gaussian, discretized_logistic"),
    ],
)
def test_bad_settings(settings, says):
    with pytest.raises(InputError, match=says):
        model(SMALL, **settings)


def test_bad_labels_and_images():
    module = model(SMALL)
    with pytest.raises(InputError, match="need as many labels"):
        module.sample(3, torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match=r"Labels must lie in 0 \.\. 2"):
        module.sample(1, torch.tensor([3]))
    with pytest.raises(InputError, match=r"Labels must lie in 0 \.\. 2"):
        module.training_step((images_of(1), torch.tensor([3])), 0)
    with pytest.raises(InputError, match="The model takes images of shape"):
        module.training_step((torch.zeros(1, 2, 3, 4), torch.tensor([0])), 0)


def test_a_histogram_measured_on_its_own_images_is_their_entropy_in_bits():
    images, labels = images_of(200), torch.arange(200) % 3
    grey = (images.flatten(1) * 16).round().long().numpy()
    bits = 0.0
    for label in range(3):
        rows = grey[labels.numpy() == label]
        counts = np.stack([np.bincount(column, minlength=17) for column in rows.T])
        bits += stats.entropy(counts, base=2, axis=1).mean() * len(rows) / 200
    assert histogram_bits(images, labels, images, labels, 17, 1e-12) == pytest.approx(bits)


def test_without_training_images_of_a_class_the_histogram_is_uniform():
    images, labels = images_of(10), torch.zeros(10, dtype=torch.long)
    assert histogram_bits(images, labels, images, labels + 1, 17, 0.1) == pytest.approx(math.log2(17))
