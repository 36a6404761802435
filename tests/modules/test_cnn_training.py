import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import CNNClassifier
from support.tiny_cnn import TINY, batch

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.mark.parametrize("mix", ["mixup", "cutmix", "both"])
def test_mixed_batches_are_trained_on_in_training_only(mix):
    module = CNNClassifier(**TINY, mix=mix, norm="none")
    images, labels = batch(10)
    seen = []
    module.net.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    module.training_step((images, labels), 0)
    module.eval()
    plain = module.training_step((images, labels), 0)
    module.validation_step((images, labels), 0)
    assert not torch.equal(seen[0], images)
    assert torch.equal(seen[1], images)
    assert torch.equal(seen[2], images)
    torch.testing.assert_close(plain, F.cross_entropy(module.logits(images), labels))


def test_the_loss_of_mixup_is_the_mixture_of_both_labels_losses():
    """L(lam x_i + (1 - lam) x_j, lam y_i + (1 - lam) y_j) = lam L(., y_i) + (1 - lam) L(., y_j): arXiv:1710.09412."""
    module = CNNClassifier(**TINY, mix="mixup", norm="none", mix_alpha=0.7)
    images, labels = batch(10)
    torch.manual_seed(3)
    loss = module.training_step((images, labels), 0)
    torch.manual_seed(3)
    share = torch.distributions.Beta(torch.tensor([0.7]), torch.tensor([0.7])).sample().item()
    mixed = share * images + (1 - share) * images.roll(1, 0)
    outputs = module.logits(mixed)
    expected = share * F.cross_entropy(outputs, labels) + (1 - share) * F.cross_entropy(outputs, labels.roll(1, 0))
    torch.testing.assert_close(loss, expected)
    larger = labels if share > 0.5 else labels.roll(1, 0)
    accuracy = (outputs.argmax(1) == larger).float().mean()
    module.measure("train", *module.waiting.take()[0])
    torch.testing.assert_close(module.metrics["train"].compute()["train/accuracy"], accuracy)


@pytest.mark.parametrize(("name", "weight", "side"), [("googlenet", 0.3, 64), ("inception_v3", 0.4, 299)])
def test_auxiliary_heads_add_their_share_to_the_training_loss_alone(name, weight, side):
    module = CNNClassifier(in_shape=(3, side, side), architecture="torchvision", torchvision_name=name)
    images, labels = batch(2, 3, side)
    torch.manual_seed(0)
    loss = module.training_step((images, labels), 0)
    torch.manual_seed(0)
    outputs = module.net.network(images)
    losses = [F.cross_entropy(logits, labels) for logits in outputs]
    torch.testing.assert_close(loss, losses[0] + weight * sum(losses[1:]))
    module.eval()
    assert module.outputs(images).shape == module(images).shape == (2, 10)


def test_one_step_of_sgd_equals_torchs_with_decay_on_kernels_and_matrices_alone(make_trainer):
    module = CNNClassifier(**TINY, optimizer="sgd", momentum=0.7, lr=0.05, weight_decay=0.01, standardize=False)
    reference = CNNClassifier(**TINY, standardize=False)
    reference.load_state_dict(module.state_dict())
    loader = DataLoader(TensorDataset(*batch(12)), batch_size=6)
    make_trainer(max_epochs=1).fit(module, loader)
    velocity = {name: torch.zeros_like(p) for name, p in reference.named_parameters()}
    for images, labels in loader:
        reference.zero_grad()
        F.cross_entropy(reference.logits(images), labels).backward()
        with torch.no_grad():
            for name, parameter in reference.named_parameters():
                decay = 0.01 * parameter if parameter.dim() > 1 else 0
                velocity[name] = 0.7 * velocity[name] + parameter.grad + decay
                parameter -= 0.05 * velocity[name]
    torch.testing.assert_close(dict(module.named_parameters()), dict(reference.named_parameters()))
