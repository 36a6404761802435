"""Sequences as data, batches of padded ones, and what a module measures on them."""

import lightning as L
import torch

from nnzoo import SequenceDataModule
from nnzoo.nets.rnn import valid_steps
from support.quiet import QUIET

LENGTHS = torch.tensor([5, 2, 4])


def measure(module, batches):
    """Test metrics of a module on batches."""
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    (metrics,) = L.Trainer(**QUIET).test(module, loader, verbose=False)
    return metrics


def step_batches(labels=False):
    """Two batches whose sequences and lengths differ, so that means of means would show."""
    batches = []
    for lengths in (LENGTHS, torch.tensor([1, 7])):
        steps = int(lengths.max())
        target = (
            torch.randint(2, (len(lengths), steps, 4)).float() if labels else torch.randint(4, (len(lengths), steps))
        )
        target[~valid_steps(lengths, steps)] = -100
        batches.append((torch.randn(len(lengths), steps, 3), lengths, target))
    return batches


def ready(**settings):
    data = SequenceDataModule(**settings)
    data.prepare_data()
    data.setup()
    return data


def whole(data, part):
    """All sequences of a part without padding, with their targets."""
    dataset = data.parts[part]
    return [dataset[i] for i in range(len(dataset))]
