"""Low-rank adapters (arXiv:2106.09685) of peft on a model of transformers: y = W x + (alpha / r) B A dropout(x).

The base W is frozen; B begins at zero, so that the model begins as its base.
"""

import copy
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from torch import nn

from nnzoo.errors import InputError
from nnzoo.nets.lora_base import has_layer, layer_names, targets_of
from nnzoo.nets.pretrained import hushed, in_short, save_model

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""Files of an adapter, as peft calls them."""


def add_adapter(
    model: Any,
    *,
    r: int,
    alpha: float,
    dropout: float,
    target_modules: str | Sequence[str] | None,
    modules_to_save: Sequence[str] = (),
    rslora: bool = False,
    dora: bool = False,
    init: Literal["kaiming", "gaussian"] = "kaiming",
) -> Any:
    """A model with a new adapter, in peft's wrapper; the base is frozen, and what is trained is in float32.

    Args:
        model: The base.
        r: Rank of the adapter's matrices.
        alpha: The adapter's output is scaled by alpha / r.
        dropout: Share of the adapter's inputs that are dropped in training.
        target_modules: As for :func:`targets_of`.
        modules_to_save: Names of modules to train and save as a whole, such as lm_head.
        rslora: Scale by alpha / sqrt(r) instead (arXiv:2312.03732).
        dora: Train the length of each weight vector apart from its direction (arXiv:2402.09353).
        init: Of A: kaiming (uniform, as in the reference implementation) | gaussian (standard deviation 1 / r).

    Raises:
        InputError: If a layer or module is not there, or cannot be adapted.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    targets = targets_of(model, target_modules)
    missing = [name for name in modules_to_save if not has_layer(model, name, ())]
    if missing:
        heads = sorted({name for name, _ in model.named_children()} | set(layer_names(model)))
        raise InputError(
            f"The model has no module {missing[0]}: set --model.modules_to_save to some of {', '.join(heads)}."
        )
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=r,
        lora_alpha=alpha,  # type: ignore[arg-type]  # any number will do
        lora_dropout=dropout,
        target_modules=targets,
        modules_to_save=list(modules_to_save) or None,
        use_rslora=rslora,
        use_dora=dora,
        init_lora_weights=True if init == "kaiming" else init,
        fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),  # weights (in, out)
    )
    with refused():
        net: Any = get_peft_model(model, config)
    return in_float32(net)


def read_adapter(folder: str | Path) -> dict[str, Any]:
    """The settings of an adapter that peft has saved, as plain values.

    Raises:
        InputError: If there is none, or it is none of LoRA.
    """
    folder = Path(folder)
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} has no {name}: set --model.adapter to a folder that save_pretrained of peft wrote."
            )
    values = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    if values.get("peft_type") != "LORA":
        raise InputError(f"{folder} holds a {values.get('peft_type')} adapter: set --model.adapter to one of LoRA.")
    return values


def known_adapter(model: Any, values: Mapping[str, Any]) -> Any:
    """A model with an adapter of settings that :func:`read_adapter` has read, with new weights."""
    from peft import PeftConfig, get_peft_model

    with refused():
        config = PeftConfig.from_peft_type(**{**values, "inference_mode": False})
        net: Any = get_peft_model(model, config)
    return in_float32(net)


def load_adapter(net: Any, folder: str | Path) -> None:
    """Loads the weights of an adapter that peft has saved.

    Args:
        net: A model with an adapter of its settings.
        folder: With adapter_model.safetensors.

    Raises:
        InputError: If it does not fit: peft passes over tensors that have no place.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    with refused():
        theirs, ours = load_file(Path(folder) / WEIGHTS), get_peft_model_state_dict(net)
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in (theirs, ours)]
    if shapes[0] != shapes[1]:
        name = min(set(shapes[0].items()) ^ set(shapes[1].items()))[0]
        raise InputError(
            f"The adapter in {folder} does not fit the model ({name}): set --model.pretrained to the base that it was "
            "trained on."
        )
    with refused():
        set_peft_model_state_dict(net, theirs)


@contextmanager
def refused() -> Iterator[None]:
    """Turns what peft refuses into an InputError, and leaves out its warnings: what they ask for is done here."""
    try:
        with warnings.catch_warnings(), hushed():
            warnings.simplefilter("ignore")
            yield
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"peft refuses the adapter ({in_short(error)}).") from error


def in_float32(net: Any) -> Any:
    """The model with all that is trained in float32: in half precision small steps would be lost."""
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return net


@contextmanager
def merged(net: Any) -> Iterator[Any]:
    """The model with its adapter in the base's weights for a while: as fast as the base alone.

    peft takes the adapter off by subtraction, which changes a fifth of the base's weights by rounding; here they are
    kept and put back, so that they are the same bits afterwards.

    Args:
        net: A model with an adapter.
    """
    from peft.tuners.lora import LoraLayer

    if shares_adapted(net):
        raise InputError(
            "The adapter changes one of two layers that share their weights, the embedding and the output: it can be "
            "merged into a folder, where they are apart, but not in place."
        )
    layers = [module for module in net.modules() if isinstance(module, LoraLayer)]
    kept = [[parameter.data for parameter in layer.get_base_layer().parameters(recurse=False)] for layer in layers]
    for layer in layers:
        for parameter in layer.get_base_layer().parameters(recurse=False):
            parameter.data = parameter.data.clone()
    try:
        with refused():
            net.merge_adapter(safe_merge=True)
        yield net
    finally:
        for layer, weights in zip(layers, kept, strict=True):
            layer.merged_adapters.clear()
            for parameter, data in zip(layer.get_base_layer().parameters(recurse=False), weights, strict=True):
                parameter.data = data


def save_adapter(net: Any, folder: str | Path) -> Path:
    """Writes an adapter as a folder that peft loads; the folder must not exist, or be empty."""
    with refused():
        return save_model(net, folder)


def plain_copy(net: Any, base: Any = None) -> Any:
    """A plain model of transformers in float32, with adapter and wholly trained modules in its weights.

    Args:
        net: A model with an adapter; it is left as it is.
        base: The base anew in float32, where that of ``net`` is quantised.
    """
    if base is None:
        whole = copy.deepcopy(net).float()
    else:
        from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

        with refused():
            whole = PeftModel(base, copy.deepcopy(net.peft_config["default"]))
            set_peft_model_state_dict(whole, get_peft_model_state_dict(net))
    untie(whole)
    with refused():
        model: Any = whole.merge_and_unload(safe_merge=True)
    return model.cpu().requires_grad_(True)


def shares_adapted(net: Any) -> bool:
    """Whether input and output embeddings are one in the base, and the adapter changes one of them."""
    from peft.tuners.lora import LoraLayer
    from peft.utils import ModulesToSaveWrapper

    model = net.get_base_model()
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    return bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False)) and any(
        isinstance(end, LoraLayer | ModulesToSaveWrapper) for end in ends
    )


def untie(net: Any) -> None:
    """Gives input and output embeddings weights of their own where the adapter changes one of them.

    Otherwise what is merged into one would be in the other, and loading would tie what was trained apart.
    """
    from peft.utils import ModulesToSaveWrapper

    if not shares_adapted(net):
        return
    model = net.get_base_model()
    model.config.get_text_config().tie_word_embeddings = False
    model.config.tie_word_embeddings = False
    output: Any = model.get_output_embeddings()
    if not isinstance(output, ModulesToSaveWrapper):  # which has a copy
        layer = getattr(output, "base_layer", output)
        layer.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)
