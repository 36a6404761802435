"""Generated problems of the memory literature."""

import torch
from torch import Tensor


def adding_problem(num_sequences: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The adding problem: the sum of two marked numbers among many (Hochreiter & Schmidhuber 1997).

    The variant of Bai et al. 2018 (arXiv:1803.01271): values U(0, 1), two different marked positions anywhere in the
    sequence. The sum has mean 1 and variance 1/6, which is the squared error of always saying 1.

    Args:
        num_sequences: N.
        length: Steps, T; 2 or more.
        generator: Source of the values and positions.

    Returns:
        Values beside markers (N, T, 2), and the sums (N,).
    """
    values = torch.rand(num_sequences, length, generator=generator)
    first = torch.randint(length, (num_sequences,), generator=generator)
    second = torch.randint(length - 1, (num_sequences,), generator=generator)
    second += second >= first  # any position but the first one, all equally likely
    marked = torch.stack([first, second], dim=1)
    markers = torch.zeros_like(values).scatter_(1, marked, 1.0)
    return torch.stack([values, markers], dim=2), values.gather(1, marked).sum(dim=1)


def copy_memory(num_sequences: int, length: int, memory: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Copy memory: repeat symbols after a long blank (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2015).

    The layout of Bai et al. 2018 (arXiv:1803.01271): ``memory`` symbols of 1 .. 8, ``length - 1`` blanks (0), then
    ``memory + 1`` signals (9) to answer. The target is blank but for the last ``memory`` steps, which repeat the
    symbols. Inputs are one-hot here, numbers there. Without memory the best answer is blank first and a uniform guess
    of the symbols then: memory * ln 8 / (length + 2 * memory) nats per step.

    Args:
        num_sequences: N.
        length: Steps from the last symbol to the first answer; 1 or more.
        memory: Symbols to remember.
        generator: Source of the symbols.

    Returns:
        One-hot inputs (N, length + 2 * memory, 10) and target classes (N, length + 2 * memory).
    """
    symbols = torch.randint(1, 9, (num_sequences, memory), generator=generator)
    inputs = torch.zeros(num_sequences, length + 2 * memory, dtype=torch.long)
    inputs[:, :memory] = symbols
    inputs[:, length + memory - 1 :] = 9
    target = torch.zeros_like(inputs)
    target[:, length + memory :] = symbols
    return torch.nn.functional.one_hot(inputs, 10).to(torch.uint8), target
