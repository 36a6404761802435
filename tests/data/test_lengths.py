import pytest
import torch

from nnzoo import SequenceDataModule, StringPairsDataModule
from nnzoo.nets.rnn import SequenceEncoder


@pytest.mark.parametrize(
    "data", [SequenceDataModule(dataset="digits"), StringPairsDataModule(num_samples=300, num_longer=20)]
)
def test_lengths_stay_on_the_cpu_while_a_batch_moves(data):
    data.prepare_data()
    data.setup()
    batch = next(iter(data.train_dataloader()))
    values, lengths, target = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert values.device.type == target.device.type == "meta"
    assert (values.shape, target.shape) == (batch[0].shape, batch[2].shape)
    assert torch.equal(lengths, batch[1])


def test_a_network_on_another_device_takes_lengths_of_the_cpu():
    encoder = SequenceEncoder(3, 4, cell="gru").to("meta")
    outputs, last = encoder(torch.zeros(2, 5, 3, device="meta"), torch.tensor([5, 5]))
    assert outputs.shape == (2, 5, 4)
    assert last.shape == (2, 4)
