"""Masked language models of transformers: BERT's shape from a few sizes, and likelihoods of the masked tokens alone."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.pretrained import build_model
from nnzoo.tokens import IGNORED

KIND = "AutoModelForMaskedLM"
HEADS = ("cls", "lm_head")
"""What the kinds of models call the part from a token's state to its logits, where that is one part."""


def bert_config(
    vocab_size: int, positions: int, width: int, num_layers: int, num_heads: int, dropout: float, pad_token_id: int
) -> dict[str, Any]:
    """A BERT's configuration (arXiv:1810.04805): the feed-forward layers are four times as wide.

    Args:
        vocab_size: Tokens.
        positions: Tokens of the longest text.
        width: Length of a token's vector.
        num_layers: Layers of attention and feed-forward.
        num_heads: Attention heads.
        dropout: Share of values and attention coefficients that are set to 0 in training.
        pad_token_id: The token of padding.
    """
    return {
        "model_type": "bert",
        "vocab_size": vocab_size,
        "max_position_embeddings": positions,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "pad_token_id": pad_token_id,
    }


class MaskedNet(nn.Module):
    """An encoder of transformers with its head for masked tokens.

    Args:
        config: Plain values, see :func:`nnzoo.nets.pretrained.read_config`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = build_model(KIND, config)

    def forward(self, chosen: Tensor, **inputs: Tensor) -> Tensor:
        """Logits (N, V) of the N tokens that are chosen by a mask (B, T), row by row.

        The head, a matrix of all words, is left out for the others: with 15 % of the tokens most of its time.
        """
        head = next((getattr(self.model, name) for name in HEADS if hasattr(self.model, name)), None)
        if head is None:
            return self.model(**inputs).logits[chosen]
        return head(self.model.base_model(**inputs)[0][chosen])


def masked_nll(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Negative log-likelihood of each text, summed over its masked tokens, in nats; how many are right; their number.

    Args:
        logits: (N, V) of the masked tokens, row by row.
        labels: (B, T), ``IGNORED`` where a token is not masked.

    Returns:
        Three tensors (B,).
    """
    chosen = labels != IGNORED
    rows, targets = chosen.nonzero()[:, 0], labels[chosen]
    losses = F.cross_entropy(at_least_float32(logits), targets, reduction="none")
    zeros = torch.zeros(len(labels), device=losses.device)
    sums = zeros.index_add(0, rows, losses)
    right = zeros.index_add(0, rows, (logits.argmax(dim=1) == targets).float())
    return sums, right, chosen.sum(dim=1)
