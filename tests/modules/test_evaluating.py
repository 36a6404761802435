"""Evaluation mode for a while."""

import pytest
import torch
from torch import nn

from nnzoo import WGANGP, SequenceGenerator
from nnzoo.modules.evaluating import evaluating, in_evaluation


class Net(nn.Module):
    """Says in which mode it runs, and whether gradients are taken."""

    def __init__(self):
        super().__init__()
        self.dropout, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(2)

    @in_evaluation
    def used(self, value, fails=False):
        if fails:
            raise RuntimeError("it fails")
        return self.training, self.dropout.training, torch.is_grad_enabled(), value


@pytest.mark.parametrize("fails", [False, True])
def test_each_part_is_left_in_its_mode(fails):
    net = Net()
    net.norm.eval()  # frozen, as while fine-tuning
    if fails:
        with pytest.raises(RuntimeError, match="it fails"):
            net.used(1, fails=True)
    else:
        assert net.used(1) == (False, False, False, 1)
    assert (net.training, net.dropout.training, net.norm.training) == (True, True, False)
    assert torch.is_grad_enabled()


def test_what_is_in_evaluation_stays_there():
    net = Net().eval()
    with evaluating(net):
        assert not net.training
    assert not any(part.training for part in net.modules())


def test_drawing_while_training_sees_no_statistics_of_its_batch_and_changes_none():
    torch.manual_seed(0)
    module = WGANGP(in_shape=(1, 8, 8), levels=17, channels=4)
    before = {name: values.clone() for name, values in module.state_dict().items()}
    one, two = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    samples = module.sample(2, generator=[one, two])
    module.interpolate(2, 3)
    assert module.training
    assert all(torch.equal(values, before[name]) for name, values in module.state_dict().items())
    assert torch.allclose(samples[0], module.sample(1, generator=[torch.Generator().manual_seed(1)])[0], atol=1e-6)


def test_rows_are_drawn_without_dropout():
    torch.manual_seed(0)
    module = SequenceGenerator(in_shape=(1, 4, 4), levels=17, num_classes=2, hidden_size=6, dropout=0.5)
    first, second = (module.sample(4, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, second)
