"""Encoders of transformers with a head: which part of one a parameter is of, what is frozen, where it looks."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError
from nnzoo.nets.pretrained import build_model, config_of, in_short, load_weights

DROPOUTS = ("classifier_dropout", "seq_classif_dropout", "classifier_dropout_prob", "summary_last_dropout")
"""What the kinds of models call the dropout before their head."""
INNER_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"),
    *("embedding_dropout", "mlp_dropout"),
)
"""What they call that of embeddings, attention and layers."""
NEW_POOLER = "new_pooler"
"""Of a shape: whether the pretrained weights lack the pooler, which is then learned with the head."""


class EncoderNet(nn.Module):
    """An encoder of transformers with its head for sequences.

    Depths are those of ELECTRA's code (arXiv:2003.10555): 0 the embeddings, 1 to n the layers, n + 1 what comes after
    them, such as the pooler, n + 2 the head.

    Args:
        config: Plain values, see :func:`nnzoo.nets.pretrained.read_config`.
        num_outputs: Values that the head gives of a text.
        dropout: Share of the head's inputs that are set to 0 in training; that of the model if None.
        encoder_dropout: Share of values and attention coefficients inside the encoder; that of the model if None.

    Raises:
        InputError: If the model has no such head, no dropout there, or is a decoder without padding.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        num_outputs: int,
        dropout: float | None = None,
        encoder_dropout: float | None = None,
    ) -> None:
        super().__init__()
        shape = {key: value for key, value in config.items() if key != NEW_POOLER}
        self.new_pooler = bool(config.get(NEW_POOLER))
        changed: dict[str, Any] = {"num_labels": num_outputs}
        for option, value, known in (
            ("dropout", dropout, DROPOUTS),
            ("encoder_dropout", encoder_dropout, INNER_DROPOUTS),
        ):
            names = [] if value is None else [name for name in known if hasattr(config_of(shape), name)]
            if value is not None and not names:
                raise InputError(f"A {shape['model_type']} has no such dropout: set --model.{option} null.")
            changed |= dict.fromkeys(names, value)
        self.model = build_model("AutoModelForSequenceClassification", shape, **changed)
        if hasattr(self.model, "score") and getattr(self.model.config, "pad_token_id", None) is None:
            raise InputError(  # its head reads the last token that is no padding
                f"A {shape['model_type']} without a token of padding cannot tell where a text ends: choose an encoder, "
                "or set pad_token_id in the config.json of --model.pretrained."
            )
        self.prefix = f"{self.model.base_model_prefix}."
        self.layers_name, self.num_layers = self._find_layers()
        self.learned_from = 0

    def _find_layers(self) -> tuple[str | None, int]:
        """The name of the list of layers; None of a model whose layers share their weights."""
        count = getattr(self.model.config, "num_hidden_layers", 0)
        for name, part in self.model.base_model.named_modules():
            if isinstance(part, nn.ModuleList) and len(part) == count:
                return f"{name}.", count
        return None, 1

    def depth_of(self, name: str) -> int | None:
        """The depth of a parameter or a part by its name in ``model``; None of what holds parts of several depths."""
        top = self.num_layers + 2
        if not f"{name}.".startswith(self.prefix):
            return top if name else None
        inner = name[len(self.prefix) :]
        if self.layers_name is not None and inner.startswith(self.layers_name):
            return int(inner[len(self.layers_name) :].split(".")[0]) + 1
        if not inner or (self.layers_name is not None and self.layers_name.startswith(f"{inner}.")):
            return None
        if "embed" in inner:
            return 0
        if inner.split(".")[0] == "pooler":
            return top if self.new_pooler else top - 1
        return 1 if self.layers_name is None else top - 1

    def shares(self, decay: float) -> dict[nn.Parameter, float]:
        """Share of the learning rate of each parameter: decay^(n + 2 - depth)."""
        depths = {p: self.depth_of(name) for name, p in self.model.named_parameters()}
        return {p: decay ** (self.num_layers + 2 - depth) for p, depth in depths.items() if depth is not None}

    def learn_from(self, depth: int) -> None:
        """Freezes all that is less deep: its parameters, and its dropout in training too."""
        self.learned_from = depth
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_((self.depth_of(name) or 0) >= depth)
        self.train(self.training)

    def train(self, mode: bool = True) -> "EncoderNet":
        """Training or evaluation mode; what is frozen is in evaluation mode."""
        super().train(mode)
        if mode and self.learned_from:
            for name, part in self.model.named_modules():
                depth = self.depth_of(name)
                if depth is not None and depth < self.learned_from:
                    part.training = False
        return self

    def load_pretrained(self, name: str) -> None:
        """Loads the weights of all but the head, which is new.

        Raises:
            InputError: If there are none, or more than the pooler is missing.
        """
        missing = load_weights(self.model.base_model, name)
        lost = [key for key in missing if not (self.new_pooler and key.startswith("pooler."))]
        if lost:
            raise InputError(f"The weights of {name} lack {lost[0]}: take the folder of a whole encoder.")

    def inputs(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> dict[str, Tensor]:
        """What the model takes: kinds of tokens only where it has several."""
        found = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None and getattr(self.model.config, "type_vocab_size", 0) > 1:
            found["token_type_ids"] = token_type_ids
        return found

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Outputs (B, K) of texts as tokens (B, T), with a mask (B, T) that is 0 on padding."""
        return self.model(**self.inputs(input_ids, attention_mask, token_type_ids)).logits

    @torch.no_grad()
    def attention(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Attention (B, L, H, T, T) of each token (rows) to all: softmax(q k / sqrt(d)), without dropout in evaluation.

        Raises:
            InputError: If the model does not give it.
        """
        before = self.model.config._attn_implementation
        try:
            self.model.set_attn_implementation("eager")  # the fused kernel keeps no weights
            found = self.model(**self.inputs(input_ids, attention_mask, token_type_ids), output_attentions=True)
        finally:
            self.model.set_attn_implementation(before)
        if not found.attentions or any(layer is None for layer in found.attentions):
            raise InputError(f"A {self.model.config.model_type} does not say where it looks.")
        return torch.stack(tuple(found.attentions), dim=1)

    def saliency(
        self, outputs: Tensor | None, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Gradient times input (B, T): sum over d of dy/de_d * e_d, with e the embedding of a token's word.

        Args:
            outputs: Which output y of each text (B,); the largest if None.
            input_ids: Tokens (B, T).
            attention_mask: 0 on padding.
            token_type_ids: Kinds of tokens, if any.
        """
        # Tensors of inference mode cannot take part in gradients: copies made outside of it can.
        with torch.inference_mode(False):
            given = [
                None if tensor is None else tensor.clone() for tensor in (input_ids, attention_mask, token_type_ids)
            ]
            which = None if outputs is None else outputs.clone()
        kept: list[Tensor] = []

        def keep(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            kept.append(output.detach().requires_grad_())
            return kept[-1]

        handle = self.model.get_input_embeddings().register_forward_hook(keep)
        try:
            with torch.inference_mode(False), torch.enable_grad():
                logits = self(*given)
                which = logits.argmax(dim=1) if which is None else which
                (gradient,) = torch.autograd.grad(logits.gather(1, which[:, None]).sum(), kept)
        finally:
            handle.remove()
        return (gradient * kept[0]).sum(dim=2).detach() * attention_mask

    def add_lora(self, rank: int, alpha: int, dropout: float, targets: Sequence[str]) -> None:
        """Adds low-rank adapters (arXiv:2106.09685) to linear layers of the encoder, whose own weights are frozen.

        Args:
            rank: r.
            alpha: The update is alpha / r B A x, with B zero at the start.
            dropout: Share of the adapters' inputs that are set to 0 in training.
            targets: Endings of the layers' names, such as query and value; those usual for the kind of model if empty.

        Raises:
            InputError: If there are no such layers.
        """
        from peft import LoraConfig, LoraModel

        base = self.model.base_model
        known = sorted({name.split(".")[-1] for name, part in base.named_modules() if isinstance(part, nn.Linear)})
        settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(targets) or None)
        fresh = [p for name, p in self.model.named_parameters() if self.depth_of(name) == self.num_layers + 2]
        absent = [
            target for target in targets if not any(f".{n}".endswith(f".{target}") for n, _ in base.named_modules())
        ]
        if absent:
            raise InputError(
                f"The model has no layer {absent[0]}: set --model.lora_targets to some of {', '.join(known)}."
            )
        try:
            LoraModel(base, settings, "default")
        except ValueError as error:
            raise InputError(
                f"Adapters cannot be added ({in_short(error)}): set --model.lora_targets to some of {', '.join(known)}."
            ) from error
        for parameter in fresh:
            parameter.requires_grad_(True)

    def plain(self) -> Any:
        """A copy of the model as transformers has it, in evaluation mode: adapters are merged into the weights."""
        model = copy.deepcopy(self.model).eval().requires_grad_(True)
        for name, part in list(model.named_modules()):
            if hasattr(part, "lora_A") and hasattr(part, "base_layer"):
                part.merge()
                parent, _, own = name.rpartition(".")
                setattr(model.get_submodule(parent), own, part.base_layer)
        return model

    @torch.no_grad()
    def rescaled(self, model: Any, scale: float, shift: float) -> Any:
        """A model as :meth:`plain` gives it, whose head gives scale * y + shift."""
        parts = model.named_modules()
        head = [m for name, m in parts if isinstance(m, nn.Linear) and not name.startswith(self.prefix)]
        head[-1].weight.mul_(scale)
        head[-1].bias.mul_(scale).add_(shift)
        return model
