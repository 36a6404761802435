"""What modules of transformers share: shape and weights from a name, the tokenizer that goes with them, exporting."""

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from nnzoo.data.text.tokenizer import files_of, own_fingerprint, tokenizer_of
from nnzoo.errors import InputError
from nnzoo.modules.base import ZooModule
from nnzoo.modules.sharded import is_sharded
from nnzoo.nets.pretrained import folder_of, longest_input, read_config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class PretrainedModule(ZooModule):
    """A module whose network is a model of transformers.

    The model's shape is found out once and kept as ``config``, so that a checkpoint loads without the folder or the
    network that it was from. Its weights are loaded when a fit begins, or before; a checkpoint brings its own.

    A subclass implements :meth:`load_pretrained` and sets ``self.initialized``.

    Args:
        pretrained: The model to begin with: tiny_encoder or tiny_decoder, which are packaged, a folder as transformers'
            ``save_pretrained`` writes it, or a name on the Hugging Face hub.
        from_scratch: Begin with random weights; the shape is that of ``pretrained`` or ``config``.
        config: The shape, as in transformers' config.json; that of ``pretrained`` if not given.
        tokenizer_files: The tokenizer's files by name (the command line takes them from the data).
        tokenizer_hash: Its fingerprint (the command line takes it from the data).
        vocab_size: Its tokens (the command line takes their number from the data).
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.

    Raises:
        InputError: If there is no such model, or the tokenizer is not its own.
    """

    found_out: ClassVar[tuple[str, ...]] = ("config",)
    shardable = True
    longest_name: ClassVar[str] = "max_length"
    """The hyperparameter that says how many tokens a text has at most."""
    initialized: Tensor

    def __init__(
        self,
        *,
        pretrained: str | None = None,
        from_scratch: bool = False,
        config: dict[str, Any] | None = None,
        tokenizer_files: dict[str, str] | None = None,
        tokenizer_hash: str | None = None,
        vocab_size: int | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.register_buffer("initialized", torch.tensor(False))

    def check_hyperparameters(self) -> None:
        """Finds the shape out; raises InputError if a hyperparameter cannot be used or the tokenizer does not fit."""
        super().check_hyperparameters()
        if self.hparams["config"] is None:
            self.hparams["config"] = self.find_config()
        self._check_length()

    def find_config(self) -> dict[str, Any]:
        """The shape of the model as plain values, where none is given."""
        hparams, name = self.hparams, self.hparams["pretrained"]
        if name is None:
            raise InputError(
                "There is no model to begin with: set --model.pretrained to a packaged one such as tiny_encoder, a "
                "folder, or a name on the Hugging Face hub."
            )
        config, size = read_config(name), hparams["vocab_size"]
        if hparams["from_scratch"]:  # with random weights any tokenizer will do
            return {**config, "vocab_size": config["vocab_size"] if size is None else size}
        if hparams["tokenizer_hash"] not in (None, self._own_tokenizer_hash(name)):
            raise InputError(
                f"The tokenizer of the data is not that of {name}, whose weights know its own tokens only: leave out "
                f"--data.tokenizer, or set it to {name}."
            )
        if size is not None and size > config.get("vocab_size", size):
            raise InputError(
                f"The tokenizer has {size:,} tokens, {name} knows {config['vocab_size']:,}: "
                f"leave out --data.tokenizer, or set it to {name}."
            )
        return config

    def _own_tokenizer_hash(self, name: str) -> str | None:
        """Fingerprint of the tokenizer of a pretrained model; the data's where its folder has none to compare."""
        return own_fingerprint(name) or self.hparams["tokenizer_hash"]

    def _check_length(self) -> None:
        most, asked = longest_input(self.hparams["config"]), self.hparams.get(self.longest_name)
        if most is not None and asked is not None and asked > most:
            raise InputError(
                f"Texts may have {asked} tokens, the model reads {most}: set --data.{self.longest_name} {most} or less."
            )

    @abstractmethod
    def load_pretrained(self) -> None:
        """Loads the weights of ``pretrained`` into the network."""

    def begin(self) -> None:
        """Loads the pretrained weights, unless they were loaded before or a checkpoint has brought others."""
        if self.initialized:
            return
        if self.hparams["pretrained"] and not self.hparams["from_scratch"]:
            if self._trainer is not None:
                if self.local_rank == 0:  # once per machine
                    folder_of(self.hparams["pretrained"])
                self.trainer.strategy.barrier()
            self.load_pretrained()
        self.initialized.fill_(True)

    def configure_model(self) -> None:
        """Loads the pretrained weights while they are whole, where they are about to be divided over devices.

        A fit that goes on loads them too: that there is a checkpoint is not known yet.
        """
        super().configure_model()
        if is_sharded(self._trainer) and self.trainer.state.fn == "fit":
            self.begin()

    def on_fit_start(self) -> None:
        """Loads the pretrained weights, unless the model goes on, here or from a checkpoint."""
        super().on_fit_start()
        if not is_sharded(self._trainer):
            self.begin()

    def files_to_export(self) -> dict[str, str]:
        """The tokenizer's files, which tell the longest text that the model takes; none if it has no tokenizer."""
        if not self.hparams["tokenizer_files"]:
            return {}
        tokenizer, most = tokenizer_of(self.hparams["tokenizer_files"]), longest_input(self.hparams["config"])
        tokenizer.model_max_length = min(tokenizer.model_max_length, most or tokenizer.model_max_length)
        return files_of(tokenizer)

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer that the model was trained with.

        Raises:
            InputError: If the model has none.
        """
        if not self.hparams["tokenizer_files"]:
            raise InputError(
                "This model has no tokenizer: take a checkpoint of a run, or give it tokenizer_files of a datamodule."
            )
        return tokenizer_of(self.hparams["tokenizer_files"])
