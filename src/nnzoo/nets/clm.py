"""Causal language models of transformers: built from plain values, their loss, and the texts they write."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.precision import at_least_float32
from nnzoo.tokens import IGNORED

Architecture = Literal["gpt2", "llama"]


def decoder_shape(
    architecture: Architecture,
    vocab_size: int,
    block_size: int,
    *,
    width: int,
    num_layers: int,
    num_heads: int,
    dropout: float,
    **special: int | None,
) -> dict[str, Any]:
    """The shape of a small decoder, as transformers' configuration of its kind takes it.

    Input embeddings are the output's weights too.

    Args:
        architecture: gpt2 (learned positions, layer norm, GELU) | llama (rotary positions, RMS norm, SwiGLU).
        vocab_size: Number of tokens.
        block_size: Tokens of the longest text.
        width: Length of a token's vector.
        num_layers: Blocks of attention and feed-forward layers; these are 4 times as wide, of llama 8/3 times.
        num_heads: Attention heads.
        dropout: Share of values dropped behind embeddings, attention and layers; llama has it in attention only.
        special: bos_token_id, eos_token_id and pad_token_id.

    Raises:
        InputError: If a size is out of range.
    """
    check_sizes(vocab_size=vocab_size, block_size=block_size, width=width, num_layers=num_layers, num_heads=num_heads)
    if width % num_heads or width // num_heads % 2:
        raise InputError(
            f"width {width} must be an even multiple of num_heads {num_heads}: set --model.width to match."
        )
    if not 0 <= dropout < 1:
        raise InputError(f"dropout is a share from 0 to below 1, got {dropout}.")
    shape: dict[str, Any] = {"model_type": architecture, "vocab_size": vocab_size, **special}
    if architecture == "gpt2":
        sizes = {"n_positions": block_size, "n_embd": width, "n_layer": num_layers, "n_head": num_heads}
        return shape | sizes | dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
    return shape | {
        "max_position_embeddings": block_size,
        "hidden_size": width,
        "intermediate_size": -(-8 * width // 24) * 8,  # a multiple of 8
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "attention_dropout": dropout,
        "tie_word_embeddings": True,
    }


def check_decoder(net: Any, name: str, missing: Sequence[str] = ()) -> None:
    """Raises InputError if a model is no causal one, or its weights lack some.

    transformers makes a model of causal language of an encoder too, each token of which sees those behind it, which it
    is to predict: its loss would mean nothing.

    Args:
        net: A model of transformers' AutoModelForCausalLM.
        name: Where it is from.
        missing: Names of weights that were not there.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as ENCODERS

    kind = net.config.model_type
    if kind in ENCODERS and not getattr(net.config, "is_decoder", False):
        raise InputError(
            f"{name} is an encoder ({kind}), whose tokens see those behind them: set --model.pretrained to a causal "
            "language model, such as tiny_decoder or gpt2."
        )
    if missing:
        raise InputError(
            f"The weights of {name} lack {missing[0]}: set --model.pretrained to the folder of a whole language model."
        )


def longest_text(config: Any) -> int | None:
    """Tokens of the longest text that a model of a configuration reads; None where it does not say."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return None if found is None else int(found)


def token_losses(net: nn.Module, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of each text, summed over the tokens that are to be predicted, in nats; and their number.

    Position t predicts label t + 1. Logits are computed only where some text of the batch has a label, as most of the
    time of a small model goes into them.

    Args:
        net: A causal model of transformers, or with an adapter of peft.
        input_ids: (B, T).
        attention_mask: 1 for tokens, 0 for padding (B, T).
        labels: The tokens, or -100 where they are not to be predicted (B, T).

    Returns:
        Two tensors (B,).
    """
    targets = labels[:, 1:]
    places = (targets != IGNORED).any(dim=0).nonzero()[:, 0]
    whole = len(places) == targets.shape[1]
    kept: Any = places if len(places) else torch.zeros(1, dtype=torch.int64, device=labels.device)
    logits = net(input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=kept, use_cache=False).logits
    chosen = targets if whole else targets[:, kept]
    losses = TokenLosses.apply(at_least_float32(logits).flatten(0, 1), chosen.flatten())
    return losses.view_as(chosen).sum(dim=1), (chosen != IGNORED).sum(dim=1)


class TokenLosses(torch.autograd.Function):
    """Negative log-likelihoods (N,) of targets (N,) under logits (N, V), in nats; 0 where they are -100.

    What ``F.cross_entropy`` gives, but its gradient needs one buffer of the size of the logits instead of two, one of
    them of zeros: half the time on a CPU, where this is a good part of a small model's step, and less memory.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        """-log softmax(logits)[target]."""
        scores, ignored = logits.log_softmax(dim=1), targets == IGNORED
        places = targets.masked_fill(ignored, 0)[:, None]
        ctx.save_for_backward(scores, places, ignored)
        return -scores.gather(1, places)[:, 0].masked_fill(ignored, 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """(softmax(logits) - one-hot target) times the gradient of each loss."""
        scores, places, ignored = ctx.saved_tensors
        gradient = gradients[0].masked_fill(ignored, 0.0)[:, None]
        return scores.exp().mul_(gradient).scatter_add_(1, places, -gradient), None


def check_drawing(max_new_tokens: int, temperature: float, top_k: int, top_p: float) -> None:
    """Raises InputError if texts cannot be drawn in this way."""
    check_sizes(max_new_tokens=max_new_tokens)
    if not temperature >= 0:
        raise InputError(f"temperature must not be negative, got {temperature}.")
    if not isinstance(top_k, int) or top_k < 0:
        raise InputError(f"top_k is a number of tokens, or 0 for all, got {top_k}.")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p lies above 0 and up to 1, got {top_p}.")


@torch.no_grad()
def continue_texts(
    net: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int,
) -> Tensor:
    """Tokens (B, max_new_tokens) that a model writes behind prompts, padded on the right where a text has ended.

    Prompts are padded on the left, and the padding masked, so that each goes on as if it were alone. The global random
    generators are left as they are.

    Args:
        net: A causal model of transformers, or with an adapter of peft.
        tokenizer: Its tokenizer.
        prompts: Tokens of each.
        max_new_tokens: The most tokens to write; a text may end before.
        temperature: Of the distribution that is drawn from; 0 always takes the likeliest token.
        top_k: Draw among so many of the likeliest tokens; 0 for all.
        top_p: Draw among the likeliest tokens that have this probability together.
        seed: Of what is drawn.

    Raises:
        InputError: If a prompt is too long for the model.
    """
    from transformers import GenerationConfig

    device = net.get_input_embeddings().weight.device
    longest, room = max(map(len, prompts)), longest_text(net.config)
    if room is not None and longest + max_new_tokens > room:
        raise InputError(
            f"The model reads {room} tokens: the longest prompt has {longest}, and {max_new_tokens} are to be written: "
            "shorten the prompt, or lower --model.max_new_tokens."
        )
    padding = next(found for found in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if found is not None)
    ids = torch.tensor([[padding] * (longest - len(own)) + list(own) for own in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(own)) + [1] * len(own) for own in prompts], device=device)
    drawn = {"temperature": temperature, "top_k": top_k, "top_p": top_p} if temperature > 0 else {}
    # What is left out here would be taken from a generation_config.json that came with the model.
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=end_tokens(net, tokenizer),
        pad_token_id=padding,
        do_sample=temperature > 0,
        num_beams=1,
        repetition_penalty=1.0,
        **drawn,
    )
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        found = net.generate(input_ids=ids, attention_mask=mask, generation_config=settings)[:, longest:]
    return F.pad(found, (0, max_new_tokens - found.shape[1]), value=padding)


def end_tokens(net: Any, tokenizer: Any) -> list[int] | None:
    """The tokens that end a text: of chat models there may be several; None if there is none."""
    own = net.generation_config.eos_token_id
    found = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
    return sorted(found) or None
