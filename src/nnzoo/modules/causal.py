"""What the causal language models share: the network and its tokenizer, loss, and perplexity."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import SumMetric

from nnzoo.data.facts import datamodule_of
from nnzoo.data.text.tokenizer import fingerprint
from nnzoo.errors import InputError
from nnzoo.metrics.means import STAGES, Perplexity, PerStage, StageMeans
from nnzoo.modules.pace import Pace
from nnzoo.modules.sharded import size_of
from nnzoo.modules.writing import WritingModule
from nnzoo.nets.clm import longest_text, token_losses
from nnzoo.nets.pretrained import hushed
from nnzoo.tokens import IGNORED

Batch = Mapping[str, Tensor]


class CausalModule(WritingModule):
    """A causal language model: p(text) = prod_t p(token_t | tokens before).

    A batch is a dict of ``input_ids``, ``attention_mask`` and ``labels`` (B, T), as
    :class:`nnzoo.data.text.language_module.TextDataModule` gives it; position t predicts label t + 1.

    Loss: the total negative log-likelihood over the total number of tokens with a label, in nats, so that every token
    counts the same; ``perplexity`` is its exponential. A test of running text adds ``word_perplexity``, exp of the
    total over the number of words, and ``bits_per_byte``: these do not depend on the tokenizer. ``trainable_share`` is
    that of the weights that are trained.

    Args:
        block_size: Tokens of the longest block (the command line takes it from the data).
        tokenizer_hash: Fingerprint of the data's tokenizer (the command line takes it from the data).
        objective: What the data are for (the command line takes it from the data).
        gradient_checkpointing: Compute activations again in the backward pass: less memory, about a third more time.
        shared: What :class:`nnzoo.modules.writing.WritingModule` takes.

    Raises:
        InputError: If a value is out of range, or the data do not fit the model.
    """

    shardable = True
    metric_note = "loss: nats per token"

    def __init__(
        self,
        *,
        block_size: int | None = None,
        tokenizer_hash: str | None = None,
        objective: str = "causal",
        gradient_checkpointing: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        with hushed():
            self.net, self.tokenizer = self.build_net()
        self._check_data()
        if gradient_checkpointing:
            # The kind that needs no gradient of its inputs, which a frozen embedding has not.
            self.net.gradient_checkpointing_enable({"use_reentrant": False})
        self.means = StageMeans({stage: ["loss"] for stage in STAGES})
        self.perplexities = PerStage(lambda stage: Perplexity())
        self.tested_tokens = SumMetric()
        self._pace = Pace()

    @abstractmethod
    def build_net(self) -> tuple[Any, Any]:
        """A causal model of transformers, or with an adapter of peft, and its tokenizer, or None."""

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        if self.hparams["objective"] != "causal":
            raise InputError(f"The data are for a {self.hparams['objective']} model: set --data.objective causal.")

    def _check_data(self) -> None:
        room, given = longest_text(self.net.config), self.hparams["tokenizer_hash"]
        if room is not None and (self.hparams["block_size"] or 1) > room:
            raise InputError(
                f"The model reads {room} tokens, the data have blocks of {self.hparams['block_size']}: set "
                f"--data.block_size {room} or lower."
            )
        own = None if self.tokenizer is None else fingerprint(self.tokenizer)
        if given is not None and own is not None and given != own:
            raise InputError(
                "The data's tokens are of another tokenizer than the model's: set --data.tokenizer to the same name or "
                "folder as --model.pretrained."
            )

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of the next token at each position.

        Args:
            input_ids: (B, T).
            attention_mask: 1 for tokens, 0 for padding (B, T); no padding if None.
        """
        with self.computing():
            return self.net(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood of each text, summed over its tokens, in nats, and the number of these: (B,) both."""
        with self.computing():
            return token_losses(self.net, batch["input_ids"], batch["attention_mask"], batch["labels"])

    def loss_weights(self, batch: Batch) -> Tensor:
        """Numbers of the tokens of each text that are predicted (B,)."""
        return (batch["labels"][:, 1:] != IGNORED).sum(dim=1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean negative log-likelihood of the tokens of a step."""
        losses, tokens = self._measure("train", batch, batch_idx)
        self._pace.count(batch["attention_mask"])
        return self.mean_over_tokens(losses, tokens)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures a batch."""
        self._measure("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures a batch."""
        _, tokens = self._measure("test", batch, batch_idx)
        self.tested_tokens.update(tokens.sum())

    def _measure(self, stage: str, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            self.check_batch(batch)
        losses, tokens = self.losses(batch)
        means = losses.detach() / tokens.clamp(min=1)
        self.means.update(stage, {"loss": means}, tokens)
        self.perplexities[stage].update(means, tokens)
        return losses, tokens

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a batch does not fit the model."""
        if not isinstance(batch, Mapping) or not {"input_ids", "attention_mask", "labels"} <= set(batch):
            raise InputError("A batch is a dict of input_ids, attention_mask and labels, as TextDataModule gives it.")
        known = self.net.get_input_embeddings().weight.shape[0]
        for values in (batch["input_ids"], batch["labels"][batch["labels"] != IGNORED]):
            if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < known:
                raise InputError(
                    f"The data have tokens {int(values.min())} to {int(values.max())}, the model 0 to {known - 1}: set "
                    "--data.tokenizer to the model's own."
                )

    def log_stage(self, stage: str) -> None:
        """Logs loss and perplexity; of a test also the trainable share, and what does not depend on the tokenizer."""
        super().log_stage(stage)
        self.log(f"{stage}/perplexity", self.perplexities[stage])
        if stage == "test":
            total = self.means.of("test")["loss"].compute() * self.tested_tokens.compute()
            self.tested_tokens.reset()
            self.log("test/trainable_share", self.trainable_share)
            others = self._in_other_units(total)
            self.log_dict({f"test/{name}": value for name, value in others.items()})
            apart = f"; {' and '.join(others)} do not depend on the tokenizer" if others else ""
            self.metric_note = f"{CausalModule.metric_note}{apart}"

    @property
    def trainable_share(self) -> float:
        """Share of the weights that are trained."""
        sizes = {True: 0, False: 0}
        for parameter in self.net.parameters():
            sizes[parameter.requires_grad] += size_of(parameter)
        return sizes[True] / sum(sizes.values())

    def _in_other_units(self, total: Tensor) -> dict[str, Tensor]:
        """The loss of a whole test part per word and per byte; nothing of a piece of it, or of answers to prompts."""
        data = datamodule_of(self._trainer)
        known = hasattr(data, "num_words") and not getattr(data, "instructs", False)
        if not known or self.num_tested() != len(data.parts["test"]):
            return {}
        size = sum(len(text.encode()) for text in data.texts("test"))
        per_word = (total.double() / data.num_words("test")).exp()
        return {"word_perplexity": per_word.float(), "bits_per_byte": total / torch.tensor(2.0).log() / size}

    def on_train_epoch_start(self) -> None:
        """Starts the clock."""
        super().on_train_epoch_start()
        self._pace.start()

    def on_validation_epoch_start(self) -> None:
        """Stops the clock: validation is not training."""
        self._pace.stop()

    def on_validation_end(self) -> None:
        """Goes on with the clock, in the middle of an epoch."""
        if self.trainer.training or self.trainer.validating:
            self._pace.start()

    def on_train_epoch_end(self) -> None:
        """Stops the clock and logs the means."""
        self._pace.stop()
        super().on_train_epoch_end()

    def costs(self) -> dict[str, float]:
        """Tokens per second of training on all devices, and the share of the weights that were trained."""
        found = self._pace.per_second()
        share = {"trainable_share": self.trainable_share}
        devices = 1 if self._trainer is None else self.trainer.world_size
        return share if found is None else share | {"tokens_per_second": round(found * devices, 1)}
