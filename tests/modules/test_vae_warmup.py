import pytest
import torch

from nnzoo.modules.vae import VAE
from support.image_batches import loader
from support.small_vae import SMALL, fix_noise, images_for, small


class WarmupRecorder(VAE):
    def on_fit_start(self):
        self.factors, self.evaluated = [], []

    def training_step(self, batch, batch_idx):
        self.factors.append(self.kl_warmup())
        loss = super().training_step(batch, batch_idx)
        self.evaluated.append(loss.item())
        return loss

    def validation_step(self, batch, batch_idx):
        assert self.kl_warmup() == 1
        super().validation_step(batch, batch_idx)


@pytest.mark.parametrize(("epochs", "expected"), [(0, [1] * 12), (0.5, [0, 0.5] + [1] * 10)])
def test_beta_rises_linearly_from_zero_over_the_warmup_epochs_and_stays(make_trainer, epochs, expected):
    model = WarmupRecorder(**SMALL, kl_warmup_epochs=epochs)
    batches = loader(*[images_for("discretized_logistic")] * 4)
    make_trainer(max_epochs=3).fit(model, batches, batches)
    assert model.factors == pytest.approx(expected)


def test_a_warmup_over_several_epochs_reaches_one_at_their_end(make_trainer):
    model = WarmupRecorder(**SMALL, kl_warmup_epochs=2)
    batches = loader(*[images_for("discretized_logistic")] * 4)
    make_trainer(max_epochs=3).fit(model, batches, batches)
    assert model.factors == pytest.approx([step / 8 for step in range(8)] + [1] * 4)


def test_the_warmup_counts_epochs_also_when_gradients_are_accumulated(make_trainer):
    model = WarmupRecorder(**SMALL, kl_warmup_epochs=2)
    batches = loader(*[images_for("discretized_logistic")] * 4)
    make_trainer(max_epochs=3, accumulate_grad_batches=2).fit(model, batches, batches)
    assert [model.factors[epoch * 4] for epoch in range(3)] == pytest.approx([0, 0.5, 1])


def test_the_warmup_counts_epochs_also_where_the_last_accumulated_step_has_fewer_batches(make_trainer):
    """Five batches an epoch by fours: the optimiser takes two steps for them, not eight batches."""
    ends = []

    class Ends(WarmupRecorder):
        def on_train_epoch_end(self):
            ends.append(self.kl_warmup())
            super().on_train_epoch_end()

    batches = loader(*[images_for("discretized_logistic")] * 5)
    make_trainer(max_epochs=4, accumulate_grad_batches=4).fit(Ends(**SMALL, kl_warmup_epochs=4), batches, batches)
    assert ends == pytest.approx([0.25, 0.5, 0.75, 1])


def test_the_warmup_scales_beta_in_the_training_loss_but_evaluation_uses_the_full_beta(make_trainer):
    model = WarmupRecorder(**SMALL, beta=3.0, kl_warmup_epochs=100, lr=1e-9)
    batches = loader(images_for("discretized_logistic"))
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, batches, batches)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
    assert model.factors == [0]
    assert metrics["train/kl"] > 0.01
    assert model.evaluated[0] == pytest.approx(metrics["train/reconstruction"], rel=1e-5)
    assert metrics["val/loss"] == pytest.approx(metrics["val/reconstruction"] + 3 * metrics["val/kl"], rel=1e-5)
    assert metrics["val/elbo"] == pytest.approx(-metrics["val/reconstruction"] - metrics["val/kl"], rel=1e-5)


@pytest.mark.parametrize("k", [1, 3])
def test_the_warmup_factor_multiplies_beta(monkeypatch, k):
    fix_noise(monkeypatch)
    images = images_for("discretized_logistic")
    expected = small(beta=0.5, num_importance_samples=k).loss_terms(images)
    monkeypatch.setattr(VAE, "kl_warmup", lambda self: 0.25)
    scaled = small(beta=2.0, num_importance_samples=k).loss_terms(images)
    torch.testing.assert_close(scaled["loss"], expected["loss"])
    torch.testing.assert_close(scaled["elbo"], expected["elbo"])
