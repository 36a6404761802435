"""Documents in blocks of tokens, fetched by whole batches."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.text.masking import IGNORED, draws, masked
from nnzoo.data.text.tokens import TokenTable


class Blocks(NamedTuple):
    """Pieces of documents, each of one document only.

    Attributes:
        documents: The document of each (M,).
        starts: Where it begins in the document (M,).
        lengths: Its tokens (M,).
    """

    documents: Tensor
    starts: Tensor
    lengths: Tensor


def divided(documents: Tensor, lengths: Tensor, most: int, overlap: int) -> Blocks:
    """Documents cut into the fewest pieces of at most ``most`` tokens, of almost equal size.

    Args:
        documents: Numbers of the documents (N,).
        lengths: Their tokens (N,), more than ``overlap``.
        most: Tokens of a piece.
        overlap: 1 if a piece begins with the last token of the one before, from which a causal model predicts its
            second; otherwise 0.
    """
    new = lengths - overlap
    counts = (new + most - overlap - 1) // (most - overlap)
    number = torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    new, of = new.repeat_interleave(counts), counts.repeat_interleave(counts)
    starts, ends = number * new // of, (number + 1) * new // of
    return Blocks(documents.repeat_interleave(counts), starts, ends - starts + overlap)


class CausalBlocks(Dataset[dict[str, Tensor]]):
    """Blocks for a causal model: labels are the tokens, but for those of prompts.

    Args:
        table: The tokens of all documents; ``notes`` has those of their prompts, if there are any.
        blocks: The samples.
        padding: The token of padding.
        learn_prompt: Whether prompts are to be predicted too.
    """

    def __init__(self, table: TokenTable, blocks: Blocks, padding: int, learn_prompt: bool = True) -> None:
        self.table, self.blocks, self.padding = table, blocks, padding
        self.lengths = blocks.lengths
        self.prompts = None if learn_prompt else (table.notes[blocks.documents] - blocks.starts).clamp(min=0)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitems__(self, batch: BatchIndex) -> dict[str, Tensor]:
        documents, starts, lengths = (values[batch.samples] for values in self.blocks)
        tokens = self.table.batch(self.table.starts[documents] + starts, lengths, {"input_ids": self.padding})
        predicted = tokens["attention_mask"].bool()
        if self.prompts is not None:
            predicted &= torch.arange(predicted.shape[1]) >= self.prompts[batch.samples, None]
        return {**tokens, "labels": tokens["input_ids"].where(predicted, IGNORED)}


class MaskedBlocks(Dataset[dict[str, Tensor]]):
    """Blocks for a masked model, between the special tokens of a text; labels are the tokens to be predicted.

    Args:
        table: The tokens of all documents, without special ones.
        blocks: The samples.
        around: Special tokens before and behind a text.
        special: The tokens of padding and of what is masked.
        ordinary: Tokens that are not special.
        share: Of the tokens that are to be predicted; 0 leaves the texts with the masks that they have.
        most: Tokens of the longest block.
        train: Whether each epoch masks other tokens.
    """

    def __init__(
        self,
        table: TokenTable,
        blocks: Blocks,
        around: tuple[list[int], list[int]],
        special: tuple[int, int],
        ordinary: Tensor,
        share: float,
        most: int,
        train: bool,
    ) -> None:
        self.table, self.blocks, self.around, self.special = table, blocks, around, special
        self.ordinary, self.share, self.most, self.train = ordinary, share, most, train
        self.lengths = blocks.lengths + sum(map(len, around))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitems__(self, batch: BatchIndex) -> dict[str, Tensor]:
        documents, starts, lengths = (values[batch.samples] for values in self.blocks)
        padding, mask = self.special
        found = self.table.batch(self.table.starts[documents] + starts, lengths, {"input_ids": padding})
        tokens, words = found["input_ids"], found.get("word_starts")
        labels = torch.full_like(tokens, IGNORED)
        if self.share:
            uniform = draws(batch, self.most, self.train)
            tokens, labels = masked(tokens, lengths, uniform, self.share, mask, self.ordinary, words)
        before, behind = (torch.tensor(ids, dtype=torch.int64).expand(len(lengths), -1) for ids in self.around)
        blank = torch.full_like(behind, padding)
        tokens, labels = (
            torch.cat([start, inner, end], dim=1)
            for start, inner, end in (
                (before, tokens, blank),
                (torch.full_like(before, IGNORED), labels, torch.full_like(behind, IGNORED)),
            )
        )
        ends = lengths[:, None] + before.shape[1] + torch.arange(behind.shape[1])
        tokens = tokens.scatter(1, ends, behind)
        inside = torch.arange(tokens.shape[1]) < (lengths + before.shape[1] + behind.shape[1])[:, None]
        return {"input_ids": tokens, "attention_mask": inside.long(), "labels": labels}
