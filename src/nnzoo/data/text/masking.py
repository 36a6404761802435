"""Masked tokens (arXiv:1810.04805): which ones are to be predicted, and what stands in their place."""

import torch
from torch import Tensor

from nnzoo.data.sampler import BatchIndex
from nnzoo.seeds import mix_seed

IGNORED = -100
"""The label of what is not to be predicted, as of PyTorch's and transformers' losses."""
MASKED, RANDOM = 0.8, 0.1
"""Shares of the tokens to be predicted that are masked, and that are another token; the rest stays."""


def draws(batch: BatchIndex, length: int, train: bool) -> Tensor:
    """Three uniform numbers for each token of the batch's samples, (3, B, length).

    In training they follow from the seed of the global batch, so that each epoch has its own and the number of devices
    does not matter; otherwise from the number of the sample alone, so that they are always the same.
    """
    if train:
        generator = torch.Generator().manual_seed(batch.seed)
        return torch.rand(3, batch.size, length, generator=generator)[:, batch.rows]
    samples = batch.samples.tolist()
    each = [torch.rand(3, length, generator=torch.Generator().manual_seed(mix_seed(sample))) for sample in samples]
    return torch.stack(each, dim=1)


def masked(
    tokens: Tensor, lengths: Tensor, uniform: Tensor, share: float, mask: int, ordinary: Tensor, starts: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Tokens with some of them masked, and the labels of these.

    Args:
        tokens: Without special tokens, padded on the right (B, T).
        lengths: Tokens of each sample (B,).
        uniform: Numbers in [0, 1), (3, B, T) or wider.
        share: Of the tokens that are to be predicted; at least one of each sample is.
        mask: The token in their place.
        ordinary: Tokens that may stand there at random.
        starts: Where a word begins (B, T), to mask whole words; None masks token by token.

    Returns:
        Tokens (B, T), and labels (B, T): the token that was there, or -100 where nothing is to be predicted.
    """
    inside = torch.arange(tokens.shape[1]) < lengths[:, None]
    chance, kind, other = uniform[:, :, : tokens.shape[1]]
    if starts is not None:  # all tokens of a word take the number of its first
        first = starts.bool()
        first[:, 0] = True
        chance = chance.gather(1, torch.where(first, torch.arange(tokens.shape[1]), 0).cummax(dim=1).values)
    chance = chance.where(inside, 2.0)
    chosen = chance < chance.min(dim=1, keepdim=True).values.clamp(min=share).nextafter(torch.tensor(2.0))
    drawn = ordinary[(other * len(ordinary)).long().clamp(max=len(ordinary) - 1)]
    replaced = torch.where(kind < MASKED, mask, torch.where(kind < MASKED + RANDOM, drawn, tokens))
    return torch.where(chosen, replaced, tokens), torch.where(chosen, tokens, IGNORED)
