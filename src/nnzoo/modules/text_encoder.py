"""What modules of encoders of transformers share: how the encoder is tuned, raw texts, where it looks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.evaluating import evaluating
from nnzoo.modules.pretrained import PretrainedModule
from nnzoo.modules.sharded import size_of
from nnzoo.modules.supervised import SupervisedModule
from nnzoo.nets.bert import NEW_POOLER, EncoderNet
from nnzoo.nets.layers import frozen_later
from nnzoo.nets.pretrained import save_model, weight_names

Batch = Mapping[str, Tensor]
Tuning = Literal["full", "frozen", "last", "gradual", "lora"]
TOKENS = ("input_ids", "attention_mask", "token_type_ids")
PAIRED = " | "  # between the texts of a pair in pictures
AT_ONCE = 64  # texts that are read together, so that memory does not grow with their number


class TextEncoderModule(PretrainedModule, SupervisedModule):
    """An encoder of transformers with a head on its first token.

    A batch is a dict as transformers' models take it: ``input_ids``, ``attention_mask`` and, for models that know
    kinds of tokens, ``token_type_ids`` (B, T); and ``labels``.

    Args:
        tuning: full, all weights | frozen, the head alone (the encoder is in evaluation mode: no dropout) | last, the
            last layers, what follows them and the head | gradual, first the head, then a layer more every few epochs
            (arXiv:1801.06146) | lora, low-rank adapters (arXiv:2106.09685) and the head.
        last_layers: Layers of the encoder that learn.
        unfreeze_every: Epochs after which a layer more learns.
        lora_rank: Rank r of the adapters.
        lora_alpha: The adapters' update is alpha / r B A x.
        lora_dropout: Share of the adapters' inputs that are set to 0 in training.
        lora_targets: Endings of the names of the layers that have adapters; those usual for the model if empty.
        layer_decay: Each layer has so much of the learning rate of the one above it: lr decay^(n + 2 - depth), with the
            embeddings at depth 0, layers at 1 to n, the pooler at n + 1 and the head at n + 2 (arXiv:2003.10555).
        dropout: Share of the head's inputs that are set to 0 in training; that of the model if not given.
        encoder_dropout: Share of values and of attention coefficients inside the encoder that are set to 0 in training;
            that of the model if not given.
        max_length: Tokens of the longest text (the command line takes it from the data).
        template: What each text is put into (the command line takes it from the data).
        shared: What :class:`nnzoo.modules.pretrained.PretrainedModule` and the base class of the task take.

    Raises:
        InputError: If a value is out of range, or the model cannot be tuned so.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "last_layers": ("tuning", ["last"]),
        "unfreeze_every": ("tuning", ["gradual"]),
        **dict.fromkeys(("lora_rank", "lora_alpha", "lora_dropout", "lora_targets"), ("tuning", ["lora"])),
        **dict.fromkeys(("layer_decay", "encoder_dropout"), ("tuning", ["full", "last", "gradual", "lora"])),
    }

    net: EncoderNet

    def __init__(
        self,
        *,
        tuning: Tuning = "full",
        last_layers: int = 2,
        unfreeze_every: int = 1,
        lora_rank: int = 8,
        lora_alpha: int = 16,
        lora_dropout: float = 0.0,
        lora_targets: Sequence[str] = (),
        layer_decay: float = 1.0,
        dropout: float | None = None,
        encoder_dropout: float | None = None,
        max_length: int | None = None,
        template: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if tuning == "lora":
            self.net.add_lora(lora_rank, lora_alpha, lora_dropout, lora_targets)
        elif tuning in ("frozen", "last"):
            self.net.learn_from(self.learned_depth(0))

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(**{name: hparams[name] for name in ("last_layers", "unfreeze_every", "lora_rank")})
        for name in ("lora_dropout", "dropout", "encoder_dropout"):
            if hparams[name] is not None and not 0 <= hparams[name] < 1:
                raise InputError(f"{name} is a share, from 0 to below 1, got {hparams[name]}: set --model.{name}.")
        if not 0 < hparams["layer_decay"] <= 1:
            raise InputError(
                f"layer_decay goes from above 0 to 1, got {hparams['layer_decay']}: set --model.layer_decay."
            )
        if hparams["from_scratch"] and hparams["tuning"] != "full":
            raise InputError(
                f"tuning {hparams['tuning']} would leave random weights as they are: leave out --model.tuning or "
                "--model.from_scratch."
            )

    def find_config(self) -> dict[str, Any]:
        """The shape of the encoder, and whether its pooler has no pretrained weights."""
        config = super().find_config()
        if self.hparams["from_scratch"] or any("pooler" in name for name in weight_names(self.hparams["pretrained"])):
            return config
        return {**config, NEW_POOLER: True}

    @property
    def num_outputs(self) -> int:
        """Values that the network gives of a text; 0 for a single number without a dimension of its own."""
        return 0

    def build_net(self) -> EncoderNet:
        """A network from (input_ids, attention_mask, token_type_ids) to outputs (B, ``num_outputs`` or 1)."""
        dropouts = (self.hparams["dropout"], self.hparams["encoder_dropout"])
        with frozen_later(self.hparams["tuning"] in ("frozen", "last", "lora")):
            return EncoderNet(self.hparams["config"], max(1, self.num_outputs), *dropouts)

    def learned_depth(self, epoch: int) -> int:
        """The least depth that learns in an epoch, see :class:`nnzoo.nets.bert.EncoderNet`."""
        hparams, layers = self.hparams, self.net.num_layers
        if hparams["tuning"] == "last":
            if hparams["last_layers"] > layers:
                raise InputError(f"The model has {layers} layers: set --model.last_layers to {layers} or less.")
            return layers + 1 - hparams["last_layers"]
        if hparams["tuning"] in ("frozen", "gradual"):
            opened = epoch // hparams["unfreeze_every"] if hparams["tuning"] == "gradual" else 0
            return max(0, layers + 1 - opened) if opened else layers + 2
        return 0

    def load_pretrained(self) -> None:
        """Loads the encoder's weights; the head is new."""
        self.net.load_pretrained(self.hparams["pretrained"])

    def setup(self, stage: str) -> None:
        """Raises InputError if layers join in while several devices train."""
        super().setup(stage)
        if stage == "fit" and self.hparams["tuning"] == "gradual" and self.trainer.world_size > 1:
            # DDP would not add up the gradients of parameters that were frozen when it started.
            raise InputError("Gradual unfreezing works on one device: set --trainer.devices 1, or another tuning.")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The configured optimiser; each depth has its own share of the learning rate.

        With gradual unfreezing all weights are in it from the start. One that has no gradient is not changed, nor
        decayed, and Adam's moments of it begin at its first step, so nothing is set back when a layer joins in.
        """
        if self.hparams["tuning"] == "gradual":
            self.net.learn_from(0)
        decay = self.hparams["layer_decay"]
        return self.build_optimizer(self.parameters(), shares=self.net.shares(decay) if decay < 1 else None)

    def on_train_start(self) -> None:
        """Says how much learns."""
        super().on_train_start()
        self._open_layers()
        counts = [
            sum(size_of(p) for p in self.net.parameters() if p.requires_grad or not only) for only in (True, False)
        ]
        rank_zero_info(f"{counts[0]:,} of {counts[1]:,} parameters learn ({100 * counts[0] / counts[1]:.3g} %)")

    def on_train_epoch_start(self) -> None:
        """With gradual unfreezing, lets a further layer learn."""
        self._open_layers()

    def _open_layers(self) -> None:
        if self.hparams["tuning"] == "gradual":
            self.net.learn_from(self.learned_depth(self.current_epoch))

    def outputs(self, *inputs: Any) -> Tensor:
        """Outputs (B, K) of tokens, or (B,) of a single number."""
        outputs = self.net(*inputs)
        return outputs if self.num_outputs else outputs[:, 0]

    def split(self, batch: Any) -> tuple[list[Any], Any]:
        """Tokens, mask and kinds of tokens, if any; the labels, if any."""
        return [batch.get(name) for name in TOKENS], batch.get("labels")

    def check_batch(self, batch: Any) -> None:
        """Raises InputError if a batch holds no tokens, or such as the model does not know."""
        if not isinstance(batch, Mapping) or "input_ids" not in batch or "attention_mask" not in batch:
            raise InputError(
                "A batch of texts is a dict with input_ids, attention_mask and labels, as tokenizers give."
            )
        ids, size = batch["input_ids"], self.hparams["config"].get("vocab_size")
        if size is not None and not 0 <= int(ids.min()) <= int(ids.max()) < size:
            raise InputError(
                f"Tokens must lie in 0 .. {size - 1}, got {int(ids.min())} .. {int(ids.max())}: use the model's own "
                "tokenizer."
            )
        if "labels" in batch:
            super().check_batch(batch)

    def tokenize(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> dict[str, Tensor]:
        """A batch of raw texts, or pairs of them, as training prepared them.

        Raises:
            InputError: If there is no text, or one is empty.
        """
        if isinstance(texts, str):
            raise InputError("Give a list of texts, such as [text].")
        empty = [number for number, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]
        if not len(texts) or empty:
            raise InputError(f"Text {empty[0]} is empty: leave it out." if empty else "There is no text in the list.")
        if pairs is not None and len(pairs) != len(texts):
            raise InputError(f"{len(texts)} texts need as many second ones, got {len(pairs)}.")
        columns = self._written(list(texts), None if pairs is None else list(pairs))
        limit = {} if self.hparams["max_length"] is None else {"max_length": self.hparams["max_length"]}
        found = self.tokenizer(
            *columns, truncation="longest_first" if limit else False, padding=True, padding_side="right",
            return_tensors="pt", **limit,
        )  # fmt: skip
        return {name: found[name].to(self.device) for name in TOKENS if name in found}

    def _written(self, texts: list[str], pairs: list[str] | None) -> list[list[str]]:
        """Texts in the template, then their pairs where these are not in it."""
        template = self.hparams["template"]
        if template is None:
            return [texts] if pairs is None else [texts, pairs]
        seconds = [""] * len(texts) if pairs is None else pairs
        # From the pieces of the template, as a text may hold such a place itself.
        pieces = [piece.split("{text}") for piece in template.split("{text_pair}")]
        filled = [pair.join(text.join(piece) for piece in pieces) for text, pair in zip(texts, seconds, strict=True)]
        return [filled] if pairs is None or len(pieces) > 1 else [filled, pairs]

    @torch.no_grad()
    def predict_texts(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Tensor:
        """What :meth:`forward` gives of raw texts, or pairs of them, on the CPU; dropout is off meanwhile."""
        found = []
        with evaluating(self):
            for start in range(0, len(texts) or 1, AT_ONCE):
                part = slice(start, start + AT_ONCE)
                batch = self.tokenize(texts[part], None if pairs is None else pairs[part])
                found.append(self(*self.split(batch)[0]).cpu())
        return torch.cat(found)

    def tokens_of(self, batch: Batch, row: int) -> list[str]:
        """The tokens of a text in a batch, as texts."""
        ids = batch["input_ids"][row, : int(batch["attention_mask"][row].sum())]
        return [str(token) for token in self.tokenizer.convert_ids_to_tokens(ids.tolist())]

    def texts_of(self, batch: Batch) -> list[str]:
        """The texts of a batch, on one line each; of a pair both, with ``PAIRED`` between them."""
        end, found = self.tokenizer.sep_token_id, []
        for ids in batch["input_ids"].tolist():
            ends = [place for place, token in enumerate(ids) if token == end] if end is not None else []
            parts = [ids[start:stop] for start, stop in pairwise([0, *ends, len(ids)])]
            texts = self.tokenizer.batch_decode(parts, skip_special_tokens=True)
            found.append(PAIRED.join(" ".join(text.split()) for text in texts if text.strip()))
        return found

    def word_importance(self, text: str, output: int | None = None) -> list[tuple[str, float]]:
        """How much each word of a text counts: gradient times input, added up over its tokens.

        Of a function that is not linear these do not add up to its value; they say where a small change would act.

        Args:
            text: As raw as training had them.
            output: Number of the class or label that is asked for; the most probable one if not given.
        """
        batch = self.tokenize([text])
        written = self._written([text], None)[0][0]
        limit = {} if self.hparams["max_length"] is None else {"max_length": self.hparams["max_length"]}
        found = self.tokenizer(written, truncation=bool(limit), return_offsets_mapping=True, **limit)
        which = None if output is None else torch.tensor([output], device=self.device)
        with evaluating(self):
            values = self.net.saliency(which, *self.split(batch)[0])[0].tolist()
        words: dict[int, list[Any]] = {}
        for word, (start, end), value in zip(found.word_ids(), found["offset_mapping"], values, strict=True):
            if word is None:  # a special token
                continue
            known = words.setdefault(word, [start, end, 0.0])
            known[1], known[2] = max(known[1], end), known[2] + value
        return [(written[start:end], value) for start, end, value in words.values()]

    def exported(self) -> Any:
        """The model of transformers that :meth:`export` writes."""
        return self.net.plain()

    def export(self, folder: str | Path) -> Path:
        """Writes a folder that ``AutoModelForSequenceClassification.from_pretrained`` and ``pipeline`` load.

        Adapters are merged into the weights.

        Args:
            folder: A new one.

        Raises:
            InputError: If it holds something.
        """
        if self.hparams["template"] is not None:
            rank_zero_warn("The folder knows nothing of the template: put texts into it before they are classified.")
        return save_model(self.exported().cpu(), folder, self.files_to_export())
