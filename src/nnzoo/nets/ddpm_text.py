"""The network of text-conditional diffusion: a transformer that reads captions, and a U-Net that attends to it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.unet import UNet
from nnzoo.tokens import PAD


class TextEncoder(nn.Module):
    """A transformer over the words of captions (Vaswani et al. 2017, arXiv:1706.03762), with norms first.

    Positions are learned, words attend in both directions, and padding is attended to by none, so that it changes
    nothing.

    Args:
        num_tokens: Size of the vocabulary.
        length: Tokens of a caption at most.
        width: Length of a token's vector, D.
        layers: Transformer layers.
        heads: Attention heads of each layer.
        dropout: After the embedding, the attention and the perceptrons.

    Raises:
        InputError: If a size is not positive, or the width is not a multiple of the heads.
    """

    def __init__(
        self, num_tokens: int, length: int, width: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_sizes(text_width=width, text_layers=layers, text_heads=heads)
        if width % heads:
            raise InputError(f"text_width must be a multiple of text_heads, got {width} and {heads}.")
        self.words = nn.Embedding(num_tokens, width, padding_idx=PAD)
        self.positions = nn.Parameter(torch.empty(length, width))
        for table in (self.words.weight, self.positions):
            nn.init.normal_(table, std=width**-0.5)
            table.no_decay = True  # type: ignore[attr-defined]
        with torch.no_grad():
            self.words.weight[PAD] = 0
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True)
        self.dropout = nn.Dropout(dropout)
        # Nested tensors would cut padding off, and so change the shape that the U-Net attends to.
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:  # the layers are copies of one, with its weights
                nn.init.xavier_uniform_(parameter)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, N, D) of tokens (B, N), and which of them are no padding (B, N)."""
        valid = tokens != PAD
        states = self.dropout(self.words(tokens) + self.positions[: tokens.shape[1]])
        return self.layers(states, src_key_padding_mask=~valid), valid


class TextUNet(nn.Module):
    """A U-Net whose attending maps attend to the words of a caption too.

    Args:
        in_shape: (C, H, W) of the images.
        out_channels: Channels of the output.
        text: What :class:`TextEncoder` takes.
        unet: What else :class:`nnzoo.nets.unet.UNet` takes.
    """

    def __init__(self, in_shape: Sequence[int], out_channels: int, text: dict[str, Any], **unet: Any) -> None:
        super().__init__()
        self.text = TextEncoder(**text)
        self.unet = UNet(in_shape, out_channels, context_dim=text["width"], **unet)

    def forward(self, images: Tensor, times: Tensor, tokens: Tensor | None) -> Tensor:
        """An image (B, out_channels, H, W) for each noised one.

        Args:
            images: Noised images (B, C, H, W).
            times: Their times (B,), from 0 to 1,000.
            tokens: Their captions (B, N), as :class:`nnzoo.tokens.Words` gives them.
        """
        if tokens is None:
            raise InputError("This model is conditioned on captions: give it their tokens.")
        context, valid = self.text(tokens)
        return self.unet(images, times, context=context, context_mask=valid)
