import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch import nn

from nnzoo.modules.autoencoder import Autoencoder
from support.image_batches import batch_of, loader


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function(values)


class LinearAutoencoder(Autoencoder):
    """Affine from image to image: the logit before the sigmoid undoes it as long as the pixels lie inside (0, 1)."""

    def build_encoder(self):
        return nn.Sequential(
            Apply(lambda images: 10 * (images.flatten(1) - 0.5)), nn.Linear(12, self.hparams["latent_dim"])
        )

    def build_decoder(self):
        return nn.Sequential(
            nn.Linear(self.hparams["latent_dim"], 12),
            Apply(lambda values: torch.logit(0.5 + values / 10, eps=1e-6).view(-1, 1, 3, 4)),
        )


@pytest.mark.parametrize("latent_dim", [1, 3])
def test_a_linear_autoencoder_converges_to_the_error_and_the_reconstructions_of_pca(latent_dim):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    spread = 0.08 * np.array([1, 0.6, 0.5] + 9 * [0.2])
    images = rng.normal(size=(60, 12)) * spread @ basis + rng.uniform(0.4, 0.6, size=12)
    pca = PCA(latent_dim).fit(images)
    reconstructions = pca.inverse_transform(pca.transform(images))
    assert reconstructions.min() > 0.01
    assert reconstructions.max() < 0.99
    best = np.square(reconstructions - images).sum(axis=1).mean()

    model = LinearAutoencoder(in_shape=(1, 3, 4), latent_dim=latent_dim).double()
    batch = batch_of(torch.from_numpy(images).view(60, 1, 3, 4))
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=80, history_size=40, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )

    def closure():
        optimizer.zero_grad()
        loss = 100 * model.training_step(batch, 0)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert model.training_step(batch, 0).item() == pytest.approx(best, rel=1e-3)
    np.testing.assert_allclose(model(batch[0]).detach().flatten(1), reconstructions, atol=3e-3)


def test_a_short_training_beats_the_mean_image_and_tells_digits_from_shuffled_pixels(make_trainer):
    images = torch.from_numpy(load_digits().images).float().div(16).unsqueeze(1)
    known, held_out = images[:1400], images[1400:]
    strange = held_out.flatten(1)[:, torch.randperm(64)].view_as(held_out)
    model = Autoencoder(in_shape=(1, 8, 8), latent_dim=8, hidden=(64,), lr=3e-3)
    trainer = make_trainer(max_epochs=10)
    trainer.fit(model, loader(*known.split(100)), loader(held_out))
    mean_image_error = (held_out - known.mean(dim=0)).square().flatten(1).sum(dim=1).mean()
    assert trainer.callback_metrics["val/loss"] < 0.7 * mean_image_error
    scores = torch.cat([model.anomaly_score(held_out), model.anomaly_score(strange)])
    truth = [0] * len(held_out) + [1] * len(strange)
    assert roc_auc_score(truth, scores) > 0.95
