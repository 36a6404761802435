"""Tiny encoders of transformers in folders, with large random weights and a tokenizer, as a user may have them."""

import torch

from nnzoo import BertClassifier, BertRegressor
from nnzoo.data.text.tokenizer import files_of, fingerprint, trained_tokenizer
from nnzoo.nets.pretrained import hushed

TEXTS = [
    "A fine film, warm and funny.",
    "Cold, long and badly cut.",
    "The story is thin but well acted.",
    "Nobody laughed; a dull evening.",
    "Return the list of names, sorted by length.",
] * 4
"""What the tokenizer is trained on."""
SIZES = {"vocab_size": 120, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 32, "max_position_embeddings": 40}  # fmt: skip


def tokenizer():
    """One as BERT's."""
    found = trained_tokenizer(TEXTS, "wordpiece", SIZES["vocab_size"])
    found.model_max_length = SIZES["max_position_embeddings"]
    return found


def config(kind="bert", **changed):
    """A small configuration of a kind of model."""
    import transformers

    if kind == "distilbert":
        names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
                 "intermediate_size": "hidden_dim"}  # fmt: skip
        return transformers.DistilBertConfig(**{names.get(k, k): v for k, v in SIZES.items()}, **changed)
    kinds = {
        "bert": transformers.BertConfig,
        "electra": transformers.ElectraConfig,
        "roberta": transformers.RobertaConfig,
    }
    further = {"electra": {"embedding_size": 8}, "roberta": {"type_vocab_size": 1, "pad_token_id": 0}}
    return kinds[kind](**{**SIZES, **further.get(kind, {}), **changed})


def save(folder, kind="bert", auto="AutoModel", seed=0, with_tokenizer=True, **changed):
    """Writes a model whose outputs differ much from text to text, and its tokenizer; returns the folder."""
    import transformers

    torch.manual_seed(seed)
    with hushed():
        model = getattr(transformers, auto).from_config(config(kind, **changed))
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.3)
            else:
                parameter.data += 0.1 * torch.randn_like(parameter)
        model.save_pretrained(folder)
    if with_tokenizer:
        tokenizer().save_pretrained(folder)
    return folder


def facts(found=None):
    """What a datamodule tells a model of the tokenizer."""
    found = found or tokenizer()
    return {"tokenizer_files": files_of(found), "tokenizer_hash": fingerprint(found), "vocab_size": len(found)}


def batch(rows=6, columns=12, classes=3, seed=0):
    """Texts of several lengths as tokens, padded on the right, with class numbers."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(columns // 2, columns + 1, (rows,), generator=generator)
    lengths[0] = columns
    mask = torch.arange(columns) < lengths[:, None]
    ids = torch.randint(5, SIZES["vocab_size"] - 10, (rows, columns), generator=generator).where(mask, 0)
    labels = torch.randint(classes, (rows,), generator=generator)
    return {"input_ids": ids, "attention_mask": mask.long(), "labels": labels}


def padded(found, more=7):
    """The same texts with further padding."""
    wider = {k: torch.nn.functional.pad(v, (0, more)) if v.dim() == 2 else v for k, v in found.items()}
    if "labels" in found and found["labels"].dim() == 2:
        wider["labels"] = torch.nn.functional.pad(found["labels"], (0, more), value=-100)
    return wider


CLASSES = ["bad", "good", "mixed"]


def built(folder, cls=BertClassifier, **settings):
    """A module with the encoder of a folder and a random head, in evaluation mode."""
    torch.manual_seed(0)
    own = {} if cls is BertRegressor else {"num_classes": 3, "classes": CLASSES}
    found = cls(**{"pretrained": folder, **facts(), **own, "max_length": 40, **settings})
    found.load_pretrained()
    for parameter in found.net.model.classifier.parameters():
        torch.nn.init.normal_(parameter)
    return found.eval()
