"""Tiny decoders of transformers in folders, with random weights and a tokenizer, as a user may have them."""

import torch

from nnzoo.data.text.tokenizer import trained_tokenizer
from nnzoo.nets.pretrained import hushed

TEXTS = [
    "Return the list of names, sorted by length.",
    "The parser reads a line and returns a tree of nodes.",
    "Raise ValueError if the file is not open.",
    "If the list is empty, the parser returns None; otherwise the first of its nodes.",
    "A file that is open can be read line by line.",
] * 4
"""What the tokenizer is trained on."""
SIZES = {"vocab_size": 320, "width": 16, "layers": 2, "heads": 2, "positions": 64}


def tokenizer(**changed):
    """A tokenizer of bytes as GPT-2's, with a token of padding unless ``pad_token`` is None."""
    found = trained_tokenizer(TEXTS, "bpe", SIZES["vocab_size"])
    for name, value in changed.items():
        setattr(found, name, value)
    return found


def config(kind="gpt2", **changed):
    """A small configuration of a kind of model."""
    import transformers

    size, tokens = SIZES, {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    if kind == "gpt2":
        changed = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, **changed}
        shape = {"n_embd": size["width"], "n_layer": size["layers"], "n_head": size["heads"],
                 "n_positions": size["positions"]}  # fmt: skip
        return transformers.GPT2Config(vocab_size=size["vocab_size"], **tokens, **shape, **changed)
    shape = {"hidden_size": size["width"], "intermediate_size": 32, "num_hidden_layers": size["layers"],
             "num_attention_heads": size["heads"], "max_position_embeddings": size["positions"]}  # fmt: skip
    return transformers.LlamaConfig(vocab_size=size["vocab_size"], **tokens, **shape, **changed)


def save(folder, kind="gpt2", seed=0, std=0.2, **changed):
    """Writes a model with large random weights, so that logits differ much, and its tokenizer; returns the folder."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    with hushed():
        model = AutoModelForCausalLM.from_config(config(kind, **changed))
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=std)
            else:
                parameter.data += 0.1 * torch.randn_like(parameter)
        model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def batch(rows=4, columns=12, seed=0, answers=False):
    """Texts of several lengths, padded on the right; with ``answers`` labels behind a prompt only."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, SIZES["vocab_size"], (rows, columns), generator=generator)
    lengths = torch.randint(columns // 2, columns + 1, (rows,), generator=generator)
    lengths[0] = columns
    mask = torch.arange(columns) < lengths[:, None]
    labels = ids.where(mask, -100)
    if answers:
        labels[:, : columns // 3] = -100
    return {"input_ids": ids.where(mask, 1), "attention_mask": mask.long(), "labels": labels}


def perturb(module, std=0.3):
    """Gives all that is trained other values, as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter += std * torch.randn_like(parameter)
    return module
