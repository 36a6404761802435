"""Models of transformers: packaged ones, those of a folder or of the hub; safetensors only, no code from there is run.

A model's shape is kept as plain values (:func:`read_config`), from which :func:`build_model` makes it again without the
folder; its weights are then loaded once (:func:`load_weights`), or come with a checkpoint.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError
from nnzoo.nets.fast_gelu import with_fast_gelu

PACKAGED = Path(__file__).parent.parent / "pretrained"
"""Folder of the tiny models that come with the package, each in a folder of its own."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""One of these a folder with weights has."""
WANTED = ("config.json", "generation_config.json", "model.safetensors", "model-*.safetensors", WEIGHTS[1])
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
PASSING = (
    *("_name_or_path", "architectures", "auto_map", "dtype", "finetuning_task", "id2label", "label2id", "num_labels"),
    *("problem_type", "quantization_config", "torch_dtype", "transformers_version", "gradient_checkpointing"),
)
"""What a configuration says of its file, its head or how it was run, not of the shape of the model."""

OFFSET = ("camembert", "data2vec-text", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl", "xmod")
"""Kinds of models whose first position has the number after that of the padding token."""


def packaged(name: str) -> Path | None:
    """The folder of a tiny model that comes with the package; None if none is called so."""
    return PACKAGED / name if name.isidentifier() and (PACKAGED / name / "config.json").is_file() else None


def folder_of(name: str) -> Path:
    """The folder of a packaged model, of the user's own, or of one on the hub, which is downloaded where it is missing.

    Raises:
        InputError: If there is none, it has no configuration or no safetensors, or the hub cannot be reached.
    """
    folder = packaged(name) or Path(name).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
            raise InputError(f"There is no folder {name}: set --model.pretrained to a folder, or to a name on the hub.")
        folder = downloaded(name, WANTED)
    if not (folder / "config.json").is_file():
        raise InputError(f"{name} has no config.json: save a model there with transformers' save_pretrained.")
    if not any((folder / file).is_file() for file in WEIGHTS):
        pickled = next((path.name for pattern in PICKLES for path in sorted(folder.glob(pattern))), None)
        found = f", only {pickled}, and loading that could run any code" if pickled else ""
        raise InputError(
            f"{name} has no model.safetensors{found}: save the model anew with a current transformers' save_pretrained."
        )
    return folder


def downloaded(name: str, files: Sequence[str], option: str = "--model.pretrained") -> Path:
    """The folder with some files of a repository on the hub; without a network, those that were had before.

    Args:
        name: Of the repository.
        files: Names or patterns.
        option: The flag that named it, for errors.

    Raises:
        InputError: If there is none, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(files)))
    except (OSError, ValueError) as error:  # all errors of the hub are among these
        known = " or ".join(sorted(path.name for path in PACKAGED.glob("*") if packaged(path.name)))
        raise InputError(
            f"There is no folder {name}, and no model of that name could be had from the Hugging Face hub "
            f"({in_short(error)}): check the name and the network, or set {option} to a folder"
            f"{f', or to {known}, which is packaged' if known else ''}."
        ) from error


def read_config(name: str) -> dict[str, Any]:
    """The shape of a model as plain values, to keep among hyperparameters.

    Args:
        name: As for :func:`folder_of`.

    Raises:
        InputError: If it cannot be read, or is of a kind that transformers does not have.
    """
    folder = folder_of(name)
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not isinstance(values.get("model_type"), str):
            raise ValueError("it names no model_type")
    except ValueError as error:
        raise InputError(f"The config.json of {name} cannot be read ({error}): save the model anew.") from error
    kept = {key: value for key, value in values.items() if key not in PASSING and value is not None}
    config_of(kept, name)
    return kept


def config_of(values: Mapping[str, Any], name: str = "config", **changed: Any) -> Any:
    """The configuration of transformers that has these values.

    Args:
        values: ``model_type``, such as bert, and what its configuration takes.
        name: What the values are of, for errors.
        changed: Values to set besides.

    Raises:
        InputError: If transformers has no such kind of model, or it does not take the values.
    """
    from transformers import AutoConfig

    rest = {key: value for key, value in {**values, **changed}.items() if key != "model_type"}
    kind = values.get("model_type")
    if not isinstance(kind, str):
        raise InputError(f"{name} has no model_type: name a kind of model of transformers, such as bert.")
    try:
        return AutoConfig.for_model(kind, **rest)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"transformers makes no model of {name} (model_type {kind}: {in_short(error)}): choose one of a kind that "
            "it has; code that comes with a model is not run."
        ) from error


def longest_input(values: Mapping[str, Any]) -> int | None:
    """Tokens of the longest input of a model of this shape; None where it has no limit."""
    most = values.get("max_position_embeddings", values.get("n_positions"))
    if most is None or values["model_type"] not in OFFSET:
        return most
    return int(most) - int(values.get("pad_token_id", 1)) - 1


def weight_names(name: str) -> set[str]:
    """The names of the tensors in the safetensors of a model.

    Args:
        name: As for :func:`folder_of`.
    """
    from safetensors import SafetensorError, safe_open

    folder = folder_of(name)
    if (folder / WEIGHTS[1]).is_file():
        return set(json.loads((folder / WEIGHTS[1]).read_text(encoding="utf-8"))["weight_map"])
    try:
        with safe_open(folder / WEIGHTS[0], framework="pt") as file:
            return set(file.keys())
    except SafetensorError as error:
        raise InputError(f"The weights of {name} cannot be read ({error}): save or download them anew.") from error


def build_model(kind: str, values: Mapping[str, Any], **changed: Any) -> Any:
    """A model with random weights in float32.

    Args:
        kind: An auto class of transformers, such as AutoModelForSequenceClassification.
        values: As :func:`read_config` gives them.
        changed: Values of the configuration to set besides, such as ``num_labels``.

    Raises:
        InputError: If models of that kind are not for such a task.
    """
    import transformers

    config = config_of(values, **changed)
    try:
        with hushed():
            return with_fast_gelu(getattr(transformers, kind).from_config(config, dtype=torch.float32))
    except ValueError as error:
        task = kind.removeprefix("AutoModelFor")
        raise InputError(
            f"A model of type {config.model_type} cannot be built for {task} ({in_short(error)}): "
            "choose another --model.pretrained."
        ) from error


def load_weights(module: nn.Module, name: str, kind: str = "AutoModel") -> list[str]:
    """Loads the weights of a packaged model, a folder or the hub into a module of the same shape, in its precision.

    Args:
        module: What :func:`build_model` made, or a part of it that is such a model itself, as ``base_model``.
        name: As for :func:`folder_of`.
        kind: The auto class of transformers that makes such modules.

    Returns:
        Names of the parameters and buffers that the file lacks, which are left as they are.

    Raises:
        InputError: If the file cannot be read, is of another shape, or lacks nearly everything.
    """
    import transformers

    folder = folder_of(name)
    try:
        with hushed():
            loaded, info = getattr(transformers, kind).from_pretrained(
                folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # safetensors raises one of its own, which derives from Exception alone
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The weights of {name} cannot be read ({in_short(error)}): save or download them anew."
        ) from error
    # Adapters stand before the layers that they are added to, and have weights of their own.
    own = {key.replace(".base_layer.", "."): value for key, value in module.state_dict().items() if ".lora_" not in key}
    theirs = loaded.state_dict()
    missing = sorted(set(info["missing_keys"]) | (own.keys() - theirs.keys()))
    taken = {key: value for key, value in theirs.items() if key in own and key not in missing}
    other = next((key for key, value in taken.items() if own[key].shape != value.shape), None)
    if other is not None or len(taken) < len(own) / 2:
        why = f"{other} is of another shape" if other else f"they lack {len(missing)} of {len(own)} tensors"
        raise InputError(f"The weights of {name} do not fit the model ({why}): use those that its config describes.")
    with torch.no_grad():
        for key, value in taken.items():
            own[key].copy_(value)
    return missing


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Fingerprint of weights: 16 characters that differ where a name, a shape or a bit does, whatever the device."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def save_model(model: Any, folder: str | Path, tokenizer_files: Mapping[str, str] | None = None) -> Path:
    """Writes a model of transformers as a folder that ``from_pretrained`` and ``pipeline`` load, whole or not at all.

    Args:
        model: As :func:`build_model` makes it.
        folder: It must not exist, or be empty.
        tokenizer_files: The tokenizer's files by name, to lie beside the weights.

    Raises:
        InputError: If the folder holds something.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty: name a new folder for the model.")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with hushed():
            model.save_pretrained(part)
        for name, text in (tokenizer_files or {}).items():
            (part / Path(name).name).write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def in_short(error: BaseException) -> str:
    """The beginning of what an error says, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 120 else f"{text[:117]}..."


@contextmanager
def hushed() -> Iterator[None]:
    """Without the bars and reports of transformers: what there is to say is said here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
