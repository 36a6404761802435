"""Masked language models: encoders that learn from texts without labels, as BERT did."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.means import STAGES, Perplexity, PerStage, StageMeans
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.modules.pretrained import PretrainedModule
from nnzoo.modules.token_loss import TokenLossModule
from nnzoo.nets.mlm import KIND, MaskedNet, bert_config, masked_nll
from nnzoo.nets.pretrained import load_weights, save_model
from nnzoo.plots.written import text_table
from nnzoo.tokens import IGNORED

Batch = Mapping[str, Tensor]
TOKENS = ("input_ids", "attention_mask", "token_type_ids")
SHOWN, AROUND, GUESSES = 16, 24, 3
"""Texts in the picture, characters on each side of a masked word, and words that are guessed."""


class MaskedLanguageModel(PretrainedModule, TokenLossModule):
    """Predicts tokens of which 15 % are masked, from those around them (BERT: arXiv:1810.04805, without pairs).

    Loss: total negative log-likelihood of the masked tokens over their number, in nats, whatever batches and devices
    make up a step. Metrics, over all masked tokens: ``perplexity``, its exp; and ``accuracy``.

    A batch is a dict with ``input_ids``, ``attention_mask`` and ``labels`` (B, T), -100 where nothing is predicted.

    From scratch the model is a BERT of the sizes given; otherwise ``pretrained`` learns on. :meth:`export` writes a
    folder that the recipe bert, and transformers, take as ``pretrained``.

    Args:
        width: Length of a token's vector.
        num_layers: Layers of attention and of two dense layers each.
        num_heads: Attention heads of a layer.
        dropout: Share of values and of attention coefficients that are set to 0 in training.
        block_size: Tokens of the longest text (the command line takes it from the data).
        objective: What the data are for (the command line takes it from the data).
        pad_token_id: The token of padding (the command line takes it from the data).
        shared: What :class:`nnzoo.modules.pretrained.PretrainedModule` takes.

    Raises:
        InputError: If a value is out of range, or the data are for another model.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = dict.fromkeys(
        ("width", "num_layers", "num_heads", "dropout"), ("pretrained", [None])
    )
    longest_name = "block_size"

    net: MaskedNet

    def __init__(
        self,
        *,
        width: int = 128,
        num_layers: int = 2,
        num_heads: int = 2,
        dropout: float = 0.1,
        block_size: int | None = None,
        objective: str = "masked",
        pad_token_id: int = 0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.net = self.build_net()
        if shared.get("config") is None:  # otherwise a checkpoint brings the weights
            self.begin()
        self.means = StageMeans({stage: ["loss", "accuracy"] for stage in STAGES})
        self.perplexities = PerStage(lambda stage: Perplexity())

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        hparams = self.hparams
        check_sizes(**{name: hparams[name] for name in ("width", "num_layers", "num_heads")})
        if hparams["width"] % hparams["num_heads"]:
            raise InputError(
                f"width {hparams['width']} does not divide over {hparams['num_heads']} heads: set --model.width to a "
                "multiple of --model.num_heads."
            )
        if not 0 <= hparams["dropout"] < 1:
            raise InputError(f"dropout is a share, from 0 to below 1, got {hparams['dropout']}: set --model.dropout.")
        if hparams["objective"] != "masked":
            raise InputError("The data are for a causal model, such as clm: set --data.objective masked.")
        super().check_hyperparameters()

    def find_config(self) -> dict[str, Any]:
        """A BERT of the sizes given, or the shape of the pretrained model."""
        hparams = self.hparams
        if hparams["pretrained"] is not None:
            return super().find_config()
        if hparams["vocab_size"] is None:
            raise InputError("A model from scratch needs vocab_size, the number of tokens: give it that of the data.")
        sizes = {name: hparams[name] for name in ("width", "num_layers", "num_heads", "dropout", "pad_token_id")}
        return bert_config(hparams["vocab_size"], hparams["block_size"] or 512, **sizes)

    def build_net(self) -> MaskedNet:
        """A network from a mask of tokens and a batch to logits; override it for another."""
        return MaskedNet(self.hparams["config"])

    def load_pretrained(self) -> None:
        """Loads the weights of the pretrained model, its head included."""
        missing = load_weights(self.net.model, self.hparams["pretrained"], KIND)
        if missing:
            rank_zero_warn(
                f"The weights of {self.hparams['pretrained']} lack {missing[0]}, as those without a head for masked "
                "tokens do: what is missing begins with random weights."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean negative log-likelihood of the masked tokens."""
        return self.mean_over_tokens(*self._measured("train", batch, batch_idx))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and accuracy."""
        self._measured("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and accuracy."""
        self._measured("test", batch, batch_idx)

    def _measured(self, stage: str, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            self.check_batch(batch)
        sums, right, counts = masked_nll(self(batch, batch["labels"] != IGNORED), batch["labels"])
        each = counts.clamp(min=1)
        self.means.update(stage, {"loss": sums / each, "accuracy": right / each}, counts)
        self.perplexities[stage].update(sums.detach() / each, counts)
        return sums, counts

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a batch has no tokens to predict, or such as the model does not know."""
        if not isinstance(batch, Mapping) or not {"input_ids", "attention_mask", "labels"} <= set(batch):
            raise InputError(
                "A batch is a dict with input_ids, attention_mask and labels, as nnzoo.TextDataModule gives."
            )
        ids, size = batch["input_ids"], self.hparams["config"]["vocab_size"]
        if not 0 <= int(ids.min()) <= int(ids.max()) < size:
            raise InputError(
                f"Tokens must lie in 0 .. {size - 1}, got {int(ids.min())} .. {int(ids.max())}: use the model's own "
                "tokenizer."
            )
        if not (batch["labels"] != IGNORED).any():
            raise InputError("No token of a batch is to be predicted: labels hold the tokens that were masked.")

    def log_stage(self, stage: str) -> None:
        """Logs loss, accuracy and perplexity."""
        super().log_stage(stage)
        self.log(f"{stage}/perplexity", self.perplexities[stage])

    def forward(self, batch: Batch, chosen: Tensor | None = None) -> Tensor:
        """Logits (N, V) of the chosen tokens of a batch, row by row; of those that are masked if not given.

        Args:
            batch: ``input_ids``, ``attention_mask`` and, if any, ``token_type_ids`` (B, T).
            chosen: A mask (B, T).
        """
        chosen = batch["input_ids"] == self.mask_token if chosen is None else chosen
        return self.net(chosen, **{name: batch[name] for name in TOKENS if name in batch})

    @property
    def mask_token(self) -> int:
        """The token in the place of what is masked."""
        found = self.tokenizer.mask_token_id
        if not isinstance(found, int):
            raise InputError("The tokenizer has no token for what is masked: take one of a masked model.")
        return found

    def predict_step(self, batch: Batch, batch_idx: int) -> list[str]:
        """The texts of a batch, each masked token filled in by the most probable one."""
        ids = batch["input_ids"].clone()
        ids[ids == self.mask_token] = self(batch).argmax(dim=1)
        return [str(text) for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def prediction_columns(self, predictions: Sequence[list[str]], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The filled-in texts."""
        return {"filled": [text for batch in predictions for text in batch]}

    @in_evaluation
    def fill(self, text: str, top: int = 5) -> list[list[dict[str, Any]]]:
        """The most probable words in the place of each mask: ``fill("The [MASK] of a list")``.

        Args:
            text: With the tokenizer's mask, such as [MASK], once or several times.
            top: How many words.

        Returns:
            For each mask, words with their probabilities, the most probable first: ``[[{"word": ..., "score": ...}]]``.

        Raises:
            InputError: If there is no mask, or the text is too long.
        """
        check_sizes(top=top)
        batch = {name: value.to(self.device) for name, value in self.tokenizer(text, return_tensors="pt").items()}
        ids, most = batch["input_ids"], self.hparams["block_size"]
        if not (ids == self.mask_token).any():
            raise InputError(f"There is no mask in the text: write {self.tokenizer.mask_token} where a word is to be.")
        if most is not None and ids.shape[1] > most:
            raise InputError(f"The text has {ids.shape[1]} tokens, the model reads {most}: shorten it.")
        return self._guesses(self(batch), top)

    def _guesses(self, logits: Tensor, top: int) -> list[list[dict[str, Any]]]:
        found = logits.float().softmax(dim=1).topk(min(top, logits.shape[1]), dim=1)
        return [
            [{"word": str(self.tokenizer.decode([k])).strip(), "score": p} for k, p in zip(ks, ps, strict=True)]
            for ks, ps in zip(found.indices.tolist(), found.values.tolist(), strict=True)
        ]

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Masked words of held-out texts, and what the model takes for them."""
        if not self.hparams["tokenizer_files"]:
            return {}
        ids, masked = batch["input_ids"], (batch["input_ids"] == self.mask_token) & (batch["labels"] != IGNORED)
        rows = masked.any(dim=1).nonzero()[:SHOWN, 0]
        chosen = torch.zeros_like(masked)
        chosen[rows, masked[rows].int().argmax(dim=1)] = True  # the first of each
        places = chosen.nonzero().tolist()
        if not places:
            return {}
        guesses = self._guesses(self(batch, chosen), GUESSES)
        words = [str(self.tokenizer.decode([int(batch["labels"][row, place])])).strip() for row, place in places]
        columns: dict[str, list[str]] = {"before": [], "masked": words, "after": []}
        for row, place in places:
            end = int(batch["attention_mask"][row].sum())
            before, after = (self._written(ids[row, part]) for part in (slice(1, place), slice(place + 1, end - 1)))
            cut_off = [len(text) > AROUND for text in (before, after)]
            columns["before"].append((f"…{before[1 - AROUND :]}" if cut_off[0] else before).rjust(AROUND))
            columns["after"].append(f"{after[: AROUND - 1]}…" if cut_off[1] else after)
        for number in range(min(map(len, guesses))):
            entry = (guess[number] for guess in guesses)
            columns[f"{number + 1}. guess"] = [f"{one['word']} {one['score']:.2f}" for one in entry]
        wrong = [guess[0]["word"] != word for guess, word in zip(guesses, words, strict=True)]
        return {"filled": text_table(columns, red={"1. guess": wrong})}

    def _written(self, ids: Tensor) -> str:
        return " ".join(str(self.tokenizer.decode(ids.tolist())).replace(self.tokenizer.mask_token or "", "_").split())

    def export(self, folder: str | Path, half: bool = False) -> Path:
        """Writes a folder that ``AutoModelForMaskedLM.from_pretrained`` and the recipe bert load.

        Args:
            folder: A new one.
            half: Write float16, for half the size.

        Raises:
            InputError: If the folder holds something.
        """
        model = copy.deepcopy(self.net.model).cpu()
        return save_model(model.half() if half else model, folder, self.files_to_export())
