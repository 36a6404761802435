"""CausalLM: a language model trained from scratch, or a pretrained one of which all weights are trained."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from nnzoo.data.text.tokenizer import files_of, fingerprint, load_tokenizer, own_fingerprint, tokenizer_of
from nnzoo.errors import InputError
from nnzoo.modules.causal import CausalModule
from nnzoo.nets.clm import Architecture, check_decoder, decoder_shape
from nnzoo.nets.pretrained import build_model, load_weights, read_config, save_model

KIND = "AutoModelForCausalLM"
USUAL_LENGTH = 128
"""Tokens of the longest text of a model from scratch, where no data say."""
FROM_SCRATCH: tuple[str, Sequence[Any]] = ("pretrained", [None])


class CausalLM(CausalModule):
    """A causal language model of transformers, all of whose weights are trained.

    From scratch it is a small GPT-2 (Radford et al. 2019) or Llama (arXiv:2302.13971) for the data's tokenizer; with
    ``pretrained`` a model of a folder or of the hub is trained further. :meth:`export` writes a folder that
    transformers loads.

    Args:
        pretrained: A packaged model (tiny_decoder), a folder, or a name on the Hugging Face hub; from scratch if not
            given. Its tokenizer is the data's.
        config: The configuration of the pretrained model, which a checkpoint keeps so that it loads without the folder.
        architecture: gpt2 (learned positions, layer norm, GELU) | llama (rotary positions, RMS norm, SwiGLU).
        width: Length of a token's vector.
        num_layers: Blocks of attention and feed-forward layers.
        num_heads: Attention heads.
        dropout: Share of values dropped behind embeddings, attention and layers; llama has it in attention only.
        vocab_size: Number of tokens (the command line takes it from the data).
        bos_token_id: The token that begins a text (the command line takes it from the data).
        eos_token_id: The token that ends a text (the command line takes it from the data).
        pad_token_id: The token of padding (the command line takes it from the data).
        tokenizer_files: The tokenizer as texts by file name (the command line takes it from the data).
        shared: What :class:`nnzoo.modules.causal.CausalModule` takes.

    Raises:
        InputError: If a value is out of range, or a model cannot be found or read.
    """

    found_out: ClassVar[tuple[str, ...]] = ("config",)
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = dict.fromkeys(
        ("architecture", "width", "num_layers", "num_heads", "dropout"), FROM_SCRATCH
    )

    def __init__(
        self,
        *,
        pretrained: str | None = None,
        config: dict[str, Any] | None = None,
        architecture: Architecture = "gpt2",
        width: int = 128,
        num_layers: int = 4,
        num_heads: int = 4,
        dropout: float = 0.0,
        vocab_size: int = 512,
        bos_token_id: int | None = None,
        eos_token_id: int | None = None,
        pad_token_id: int | None = None,
        tokenizer_files: dict[str, str] | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def build_net(self) -> tuple[Any, Any]:
        """The model, with its pretrained weights unless a checkpoint brings others, and the tokenizer."""
        hparams = self.hparams
        name, files = hparams["pretrained"], hparams["tokenizer_files"]
        if name is None:
            net = build_model(KIND, self._small_shape())
            return net, None if files is None else tokenizer_of(files)
        from_checkpoint = hparams["config"] is not None
        if not from_checkpoint:
            self.hparams["config"] = read_config(name)
        if files is None:
            files = self.hparams["tokenizer_files"] = files_of(load_tokenizer(name))
        elif not from_checkpoint and own_fingerprint(name) not in (None, fingerprint(tokenizer_of(files))):
            raise InputError(
                f"The tokenizer of the data is not that of {name}, whose weights know its own tokens only: leave out "
                f"--data.tokenizer, or set it to {name}."
            )
        net = build_model(KIND, self.hparams["config"])
        if not from_checkpoint:
            check_decoder(net, name)
            check_decoder(net, name, load_weights(net, name, KIND))
        return net, tokenizer_of(files)

    def _small_shape(self) -> dict[str, Any]:
        names = ("architecture", "vocab_size", "width", "num_layers", "num_heads", "dropout")
        special = ("bos_token_id", "eos_token_id", "pad_token_id")
        values = {name: self.hparams[name] for name in (*names, *special)}
        return decoder_shape(block_size=self.hparams["block_size"] or USUAL_LENGTH, **values)

    @contextmanager
    def before_training(self) -> Iterator[bool]:
        """The pretrained model, where there was one and it is still to be had."""
        name, trained = self.hparams["pretrained"], self.net
        try:
            if name is not None:
                net = build_model(KIND, self.hparams["config"])
                load_weights(net, name, KIND)
                self.net = net.to(self.device)
        except InputError:  # the folder may be gone
            name = None
        try:
            yield name is not None
        finally:
            self.net = trained

    def export(self, folder: str | Path, half: bool = False) -> Path:
        """Writes a folder, model and tokenizer, that ``AutoModelForCausalLM.from_pretrained`` loads.

        Args:
            folder: It must not exist, or be empty.
            half: Store the weights in float16, which takes half the room.

        Raises:
            InputError: If the folder holds something.
        """
        net = copy.deepcopy(self.net).half() if half else self.net
        return save_model(net, folder, self.hparams["tokenizer_files"])
