"""LoRACausalLM: a pretrained language model adapted by low-rank matrices, all that is trained and saved."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from nnzoo.data.text.tokenizer import files_of, load_tokenizer
from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.causal import CausalModule
from nnzoo.modules.sharded import is_sharded
from nnzoo.nets.lora import add_adapter, known_adapter, load_adapter, merged, plain_copy, read_adapter, save_adapter
from nnzoo.nets.lora_base import Precision, base_hash, load_base
from nnzoo.nets.pretrained import save_model

BASE_KEY = "nnzoo_base"
"""Where a checkpoint keeps name and fingerprint of the base."""
NEW: tuple[str, Sequence[Any]] = ("adapter", [None])


class LoRACausalLM(CausalModule):
    """A pretrained causal language model with a low-rank adapter (arXiv:2106.09685).

    Adapted layers are y = W x + (alpha / r) B A dropout(x). W, biases and norms are frozen; B begins at zero, so that
    training begins at the base. Checkpoints hold the adapter (and ``modules_to_save``) and the fingerprint of the base,
    which is found again by its name.

    :meth:`save_adapter` writes a folder that peft loads, :meth:`merge` a plain model that transformers loads.

    Args:
        pretrained: The base: a packaged model (tiny_decoder), a folder, or a name on the Hugging Face hub. Its
            tokenizer is the data's.
        adapter: Folder of an adapter that peft or :meth:`save_adapter` has saved, to train further: its own rank,
            layers and so on are then used.
        adapter_config: Its settings, which a checkpoint keeps so that it loads without the folder.
        r: Rank of the matrices A (r, in) and B (out, r).
        alpha: The adapter's output is scaled by alpha / r; keep it when r changes, or both.
        dropout: Share of the adapter's inputs that are dropped in training; the base's own dropout is off.
        target_modules: Layers to adapt: names or ends of names, such as c_attn or [q_proj, v_proj]; all-linear for all
            but the output; those that peft takes for such a model if not given.
        modules_to_save: Names of modules that are trained and saved as a whole, such as lm_head.
        use_rslora: Scale by alpha / sqrt(r), so that large ranks learn as fast (arXiv:2312.03732).
        use_dora: Train the length of each weight vector apart from its direction (arXiv:2402.09353).
        init: Of A: kaiming (uniform, as in the reference implementation) | gaussian (standard deviation 1 / r).
        base_precision: Of the base's weights: float32 | bfloat16 (half the memory; what is trained stays in float32).
        load_in_4bit: Keep the base's weights in 4 bits (QLoRA, arXiv:2305.14314): needs a GPU and bitsandbytes.
        shared: What :class:`nnzoo.modules.causal.CausalModule` takes.

    Raises:
        InputError: If a value is out of range, a layer is not there, or the base or an adapter cannot be found or read.
    """

    found_out: ClassVar[tuple[str, ...]] = ("adapter_config",)
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        **dict.fromkeys(("r", "alpha", "dropout", "target_modules", "modules_to_save"), NEW),
        **dict.fromkeys(("use_rslora", "use_dora", "init"), NEW),
    }

    def __init__(
        self,
        *,
        pretrained: str = "tiny_decoder",
        adapter: str | None = None,
        adapter_config: dict[str, Any] | None = None,
        r: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        target_modules: str | Sequence[str] | None = None,
        modules_to_save: Sequence[str] = (),
        use_rslora: bool = False,
        use_dora: bool = False,
        init: Literal["kaiming", "gaussian"] = "kaiming",
        base_precision: Precision = "float32",
        load_in_4bit: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        # What a checkpoint holds: the names are those of before training, whatever is frozen later.
        self._saved = frozenset(name for name, p in self.named_parameters() if p.requires_grad)
        self._hash = ""

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(r=hparams["r"])
        if not hparams["pretrained"]:
            raise InputError(
                "There is no base to adapt: set --model.pretrained to tiny_decoder, which is packaged, a folder, or a "
                "name on the Hugging Face hub."
            )
        if not hparams["alpha"] > 0:
            raise InputError(f"alpha must be above 0, got {hparams['alpha']}: set --model.alpha.")
        if not 0 <= hparams["dropout"] < 1:
            raise InputError(f"dropout is a share from 0 to below 1, got {hparams['dropout']}.")
        if isinstance(hparams["modules_to_save"], str):
            raise InputError("modules_to_save is a list of names, such as [lm_head].")

    def build_net(self) -> tuple[Any, Any]:
        """The base with its adapter, and the base's tokenizer."""
        hparams = self.hparams
        base = load_base(hparams["pretrained"], hparams["base_precision"], hparams["load_in_4bit"])
        tokenizer = load_tokenizer(hparams["pretrained"])
        folder, known = hparams["adapter"], hparams["adapter_config"]
        if folder is None:
            names = ("r", "alpha", "dropout", "target_modules", "modules_to_save", "init")
            options = {name: hparams[name] for name in names}
            return add_adapter(base, rslora=hparams["use_rslora"], dora=hparams["use_dora"], **options), tokenizer
        if known is None:
            self.hparams["adapter_config"] = read_adapter(folder)
        net = known_adapter(base, self.hparams["adapter_config"])
        if known is None:  # otherwise a checkpoint brings the weights
            load_adapter(net, folder)
        return net, tokenizer

    def computing(self) -> AbstractContextManager[Any]:
        """Autocast where the base is in half precision, as the adapter is not."""
        if self.hparams["base_precision"] == "float32" and not self.hparams["load_in_4bit"]:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    @contextmanager
    def before_training(self) -> Iterator[bool]:
        """The base without the adapter."""
        with self.net.disable_adapter():
            yield True

    @contextmanager
    def merged(self) -> Iterator[None]:
        """The adapter in the base's weights for a while, as fast as the base; afterwards these are the same bits again.

        Raises:
            InputError: If the base is in 4 bits, or shares weights that the adapter changes in one place.
        """
        if self.hparams["load_in_4bit"]:
            raise InputError("Weights of 4 bits cannot be changed in place: merge(folder) writes a model in float32.")
        with merged(self.net):
            yield

    def merge(self, folder: str | Path) -> Path:
        """Writes base and adapter as one plain model, with tokenizer, that ``AutoModelForCausalLM`` loads, in float32.

        Args:
            folder: It must not exist, or be empty.

        Raises:
            InputError: If the folder holds something.
        """
        base = load_base(self.hparams["pretrained"]) if self.hparams["load_in_4bit"] else None
        return save_model(plain_copy(self.net, base), folder, files_of(self.tokenizer))

    def save_adapter(self, folder: str | Path) -> Path:
        """Writes the adapter as a folder that ``PeftModel.from_pretrained`` loads on the same base.

        Args:
            folder: It must not exist, or be empty.

        Raises:
            InputError: If the folder holds something.
        """
        return save_adapter(self.net, folder)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The weights that are trained, and not the base's."""
        prefix = kwargs.get("prefix", args[1] if len(args) > 1 else "")
        state = super().state_dict(*args, **kwargs)
        if not is_sharded(self._trainer):  # FSDP looks for all it has gathered: a checkpoint then leaves them out
            self._leave_out_base(state, prefix)
        return state

    def _leave_out_base(self, state: dict[str, Any], prefix: str = "") -> None:
        frozen = [name for name in state if name.startswith(f"{prefix}net.") and name[len(prefix) :] not in self._saved]
        for name in frozen:
            del state[name]

    @property
    def strict_loading(self) -> bool:
        """Whether a checkpoint must have all weights: Lightning asks where it loads weights in pieces by itself."""
        return super().strict_loading and not is_sharded(self._trainer)

    @strict_loading.setter
    def strict_loading(self, strict_loading: bool) -> None:
        self._strict_loading = strict_loading

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads the weights that are trained; the base has its own."""
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        missing, unexpected = sorted(self._saved & set(result.missing_keys)), result.unexpected_keys
        if strict and (missing or unexpected):
            raise RuntimeError(f"The state holds another adapter: missing {missing[:3]}, unexpected {unexpected[:3]}.")
        return type(result)(missing, unexpected)

    def base_hash(self) -> str:
        """Fingerprint of the base's weights."""
        self._hash = self._hash or base_hash(self.hparams["pretrained"])
        return self._hash

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Names the base."""
        super().on_save_checkpoint(checkpoint)
        self._leave_out_base(checkpoint["state_dict"])
        checkpoint[BASE_KEY] = {"name": self.hparams["pretrained"], "hash": self.base_hash()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises InputError if the adapter was trained on another base."""
        super().on_load_checkpoint(checkpoint)
        saved = checkpoint.get(BASE_KEY)
        if saved is not None and saved["hash"] != self.base_hash():
            raise InputError(
                f"The checkpoint's adapter was trained on {saved['name']} with other weights (fingerprint "
                f"{saved['hash']}) than those of {self.hparams['pretrained']} ({self._hash}): set --model.pretrained "
                "to the base that it was trained on."
            )
