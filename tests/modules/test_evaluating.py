"""Evaluation mode for a while."""

import pytest
import torch
from torch import nn

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
