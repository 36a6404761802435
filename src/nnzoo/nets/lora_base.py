"""The frozen base of an adapter: how it is loaded and told from others, and which of its layers can be adapted."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from nnzoo.errors import InputError
from nnzoo.nets.clm import check_decoder
from nnzoo.nets.fast_gelu import with_fast_gelu
from nnzoo.nets.layers import frozen_later
from nnzoo.nets.pretrained import folder_of, hushed, in_short, packaged

Precision = Literal["float32", "bfloat16"]
ADAPTED = ("Linear", "Conv1D", "Embedding", "Linear4bit")
"""Kinds of layers that an adapter can be put on."""


def load_base(name: str, precision: Precision = "float32", in_4bit: bool = False) -> Any:
    """A pretrained causal model, without its own dropout: that of an adapter acts on the adapter's inputs alone.

    Args:
        name: A packaged model, a folder, or a name on the hub.
        precision: Of its weights.
        in_4bit: Keep the weights in 4-bit NormalFloat with double quantisation (QLoRA, arXiv:2305.14314), and compute
            in bfloat16: on a GPU, with bitsandbytes.

    Raises:
        InputError: If it cannot be found or read, or this machine has not what 4 bits need.
    """
    import transformers

    options: dict[str, Any] = {"dtype": getattr(torch, precision)}
    if in_4bit:
        check_4bit()
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    folder = folder_of(name)
    try:
        with hushed(), frozen_later():
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
            )
            model, info = loaded
    except Exception as error:  # safetensors raises one of its own, which derives from Exception alone
        raise InputError(
            f"{name} cannot be loaded as a causal language model ({in_short(error)}): set --model.pretrained to a "
            "folder with such a model, or to a name on the hub."
        ) from error
    check_decoder(model, name, sorted(info["missing_keys"]))
    if packaged(name) is None and not Path(name).expanduser().is_dir():
        model.name_or_path = name  # what a saved adapter names as its base: not the folder that it was downloaded to
    if in_4bit:
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return with_fast_gelu(without_dropout(model.train()))


def without_dropout(model: nn.Module) -> nn.Module:
    """A model whose own dropout is off in training too, whatever its configuration says, which is left as it is.

    Evaluation mode would be no way to it: it turns gradient checkpointing off without a word.
    """
    for module in model.modules():
        shares = [name for name, value in vars(module).items() if "drop" in name and isinstance(value, float)]
        for name in [*shares, *(["p"] if isinstance(module, nn.Dropout) else [])]:
            setattr(module, name, 0.0)
    return model


def check_4bit() -> None:
    """Raises InputError unless there are a GPU and bitsandbytes."""
    if not torch.cuda.is_available():
        raise InputError(
            "load_in_4bit needs a CUDA GPU, and there is none: leave it out, or set --model.base_precision."
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("load_in_4bit needs bitsandbytes: pip install bitsandbytes, or set --model.base_precision.")


def base_hash(name: str) -> str:
    """Fingerprint of the weights in a model's files: 16 characters, whatever precision they are loaded in.

    Args:
        name: A packaged model, a folder, or a name on the hub.
    """
    from safetensors import safe_open

    digest = hashlib.sha256()
    for path in sorted(folder_of(name).glob("model*.safetensors")):
        with safe_open(path, "pt") as file:
            for key in sorted(file.keys()):
                tensor = file.get_tensor(key).contiguous()
                digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def layer_names(model: nn.Module) -> list[str]:
    """Last parts of the names of the layers that an adapter can be put on, such as q_proj."""
    named = ((name, type(module).__name__) for name, module in model.named_modules())
    return sorted({name.rpartition(".")[2] for name, kind in named if kind in ADAPTED})


def targets_of(model: Any, names: str | Sequence[str] | None) -> list[str] | str:
    """The layers to adapt: those named, or those that peft takes for models of this kind.

    Args:
        model: A model of transformers.
        names: Names of layers, or ends of them, such as q_proj or mlp.c_fc; all-linear for all but the output layer.

    Raises:
        InputError: If one of them is not there; those that are there are named. peft itself passes over names that
            match nothing as long as one does.
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as USUAL

    if names == "all-linear":
        return "all-linear"
    known, kind = layer_names(model), model.config.model_type
    if names is None:
        usual = [name for name in USUAL.get(kind, []) if has_layer(model, name)]
        if not usual:
            raise InputError(
                f"Which layers of a {kind} are to be adapted is not known: set --model.target_modules to some of "
                f"{', '.join(known)}."
            )
        return usual
    wanted = [names] if isinstance(names, str) else list(names)
    missing = [name for name in wanted if not has_layer(model, name)]
    if missing or not wanted:
        raise InputError(
            f"The model has no layer {missing[0] if missing else ''} to adapt: set --model.target_modules to some of "
            f"{', '.join(known)}, or to all-linear."
        )
    return wanted


def has_layer(model: nn.Module, name: str, kinds: Sequence[str] = ADAPTED) -> bool:
    """Whether a model has a layer, of certain kinds if any are given, whose name is or ends with ``name``."""
    return any(
        (full == name or full.endswith(f".{name}")) and (not kinds or type(module).__name__ in kinds)
        for full, module in model.named_modules()
    )
