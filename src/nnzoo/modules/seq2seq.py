"""Seq2Seq: from a string to a string, character by character."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.text import CharErrorRate

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.means import STAGES, Perplexity, PerStage, StageMeans
from nnzoo.modules.base import ZooModule
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.nets.decoding import Decoded, State, beam_search, greedy_search
from nnzoo.nets.rnn import Cell
from nnzoo.nets.seq2seq import AttentionName, EncoderDecoder, Memory, same_tokens, token_loss
from nnzoo.plots.strings import attention_maps
from nnzoo.plots.written import string_table
from nnzoo.tokens import PAD, SOS, SPECIAL, Characters

Batch = tuple[Tensor, Tensor, Tensor]
TRANSLATED_AT_ONCE = 256
"""Strings that ``translate`` decodes together, so that memory does not grow with their number."""


class Seq2Seq(ZooModule):
    """Recurrent encoder-decoder with attention (arXiv:1409.0473, arXiv:1508.04025) from strings to strings.

    Minimises -log p(target | source), in nats, summed over the target's characters and its end, and averaged over the
    batch: so every token weighs the same.

    Metrics: ``perplexity`` = exp(total NLL / total tokens) and ``token_accuracy``, both with the target's own
    characters as the decoder's input (teacher forcing 1, except in training with another ``teacher_forcing``);
    ``exact_match``, the share of outputs that are right to the last character: with greedy search in validation, with
    beam search in the test, where ``exact_match_greedy`` stands beside it; ``char_error_rate`` (edits per character of
    the target) and ``output_nll`` (-log p of the outputs) of the beam search. Sources longer than all of training count
    in ``exact_match_longer`` and nowhere else.

    To use another network, override :meth:`build_net`.

    Args:
        vocabulary: The tokens by number: <pad>, <sos>, <eos>, <unk>, then characters (the command line takes it from
            the data).
        max_source_length: Longest source of the training data (the command line takes it from the data).
        max_target_length: Longest output, its end included (the command line takes it from the data).
        embedding_dim: Size of a character's vector.
        hidden_size: Units of each recurrent layer (and direction of the encoder).
        num_layers: Recurrent layers of the encoder and of the decoder.
        cell: rnn | lstm | gru.
        bidirectional: Read the source backwards too.
        attention: additive (Bahdanau; holds a vector for each pair of source and target character, so take general for
            long strings) | general (Luong) | none.
        dropout: Share of values dropped from the embeddings, between layers and before the scores.
        teacher_forcing: Share of training steps at which the decoder reads the target's own character rather than the
            one that it found most probable.
        label_smoothing: Share of the probability that the training target spreads evenly over the vocabulary.
        beam_size: Beginnings that beam search keeps; 1 is greedy.
        length_penalty: Beam search ranks by log p / length^length_penalty: 0 by probability, 1 by the mean per token.
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.

    Raises:
        InputError: If a value is out of range.
    """

    def __init__(
        self,
        *,
        vocabulary: Sequence[str] = (*SPECIAL, *"0123456789"),
        max_source_length: int = 12,
        max_target_length: int = 19,
        embedding_dim: int = 32,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: Cell = "lstm",
        bidirectional: bool = True,
        attention: AttentionName = "additive",
        dropout: float = 0.0,
        teacher_forcing: float = 1.0,
        label_smoothing: float = 0.0,
        beam_size: int = 5,
        length_penalty: float = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.characters = Characters(vocabulary)
        self.net = self.build_net()
        matches = {"val": ["exact_match"], "test": ["exact_match", "exact_match_greedy", "output_nll"]}
        self.means = StageMeans({stage: ["loss", *matches.get(stage, [])] for stage in STAGES})
        self.token_means = StageMeans({stage: ["token_accuracy"] for stage in STAGES})
        self.perplexities = PerStage(lambda stage: Perplexity())
        self.char_error_rate = CharErrorRate()
        self.longer = MeanMetric(nan_strategy="disable")

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        hparams["vocabulary"] = list(hparams["vocabulary"])
        check_sizes(**{name: hparams[name] for name in ("max_source_length", "max_target_length", "beam_size")})
        if not 0 <= hparams["teacher_forcing"] <= 1:
            raise InputError(f"teacher_forcing is a share of steps, from 0 to 1, got {hparams['teacher_forcing']}.")
        if not 0 <= hparams["label_smoothing"] < 1:
            raise InputError(f"label_smoothing goes from 0 to below 1, got {hparams['label_smoothing']}.")
        if hparams["length_penalty"] < 0:
            raise InputError(f"length_penalty must not be negative, got {hparams['length_penalty']}.")

    def build_net(self) -> EncoderDecoder:
        """A network with the methods of :class:`nnzoo.nets.seq2seq.EncoderDecoder`."""
        hparams = self.hparams
        return EncoderDecoder(
            len(hparams["vocabulary"]),
            hparams["embedding_dim"],
            hparams["hidden_size"],
            hparams["num_layers"],
            hparams["cell"],
            hparams["bidirectional"],
            hparams["attention"],
            hparams["dropout"],
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch (source, lengths of the sources, target)."""
        return self._losses("train", batch, batch_idx).mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the loss with teacher forcing, and exact match with greedy search."""
        self._losses("val", batch, batch_idx)
        source, lengths, target = batch
        self.means.update("val", {"exact_match": same_tokens(self.search(source, lengths, beam_size=1).tokens, target)})

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures sources of the lengths trained on; of longer ones, exact match only."""
        source, lengths, target = batch
        found = self.search(source, lengths)
        matches = same_tokens(found.tokens, target)
        longer = lengths > self.hparams["max_source_length"]
        self.longer.update(matches[longer])
        if longer.all():
            return
        usual: Any = tuple(tensor[~longer] for tensor in batch)
        self._losses("test", usual, batch_idx)
        greedy = same_tokens(self.search(usual[0], usual[1], beam_size=1).tokens, usual[2])
        outputs = {"exact_match": matches[~longer], "output_nll": -found.log_prob[~longer]}
        self.means.update("test", {**outputs, "exact_match_greedy": greedy})
        self.char_error_rate.update(self.characters.texts(found.tokens[~longer]), self.characters.texts(usual[2]))

    def predict_step(self, batch: Batch | Tensor, batch_idx: int) -> list[str]:
        """The strings that beam search finds for sources (B, S), with their lengths (B,) where they are padded."""
        source, *given = [batch] if isinstance(batch, Tensor) else batch
        lengths = given[0] if given else (source != PAD).sum(dim=1)
        return self.characters.texts(self.search(source, lengths).tokens)

    def prediction_columns(self, predictions: Sequence[list[str]], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The output of each source."""
        return {"predicted": [text for batch in predictions for text in batch]}

    def _losses(self, stage: str, batch: Batch, batch_idx: int) -> Tensor:
        hparams, (source, lengths, target) = self.hparams, batch
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            self.check_batch(batch)
        scores = self.net(source, lengths, target, hparams["teacher_forcing"] if self.training else 1.0)
        losses, tokens = token_loss(scores, target, hparams["label_smoothing"] if self.training else 0.0)
        plain = token_loss(scores.detach(), target)[0] if hparams["label_smoothing"] and self.training else losses
        self.means.update(stage, {"loss": losses})
        self.perplexities[stage].update(plain.detach() / tokens, tokens)
        right = (scores.argmax(dim=-1) == target[:, 1:]) & (target[:, 1:] != PAD)
        self.token_means.update(stage, {"token_accuracy": right.sum(dim=1) / tokens}, tokens)
        return losses

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if tokens are not of the vocabulary, or a target does not start with <sos>."""
        source, _, target = batch
        size = len(self.hparams["vocabulary"])
        low, high = (int(getattr(torch.cat([source.flatten(), target.flatten()]), side)()) for side in ("min", "max"))
        if low < 0 or high >= size:
            raise InputError(f"Tokens must lie in 0 .. {size - 1}, got {low} .. {high}: encode them by the vocabulary.")
        if (target[:, 0] != SOS).any():
            raise InputError("A target must start with <sos>: encode it by nnzoo.tokens.Characters.targets.")

    def log_stage(self, stage: str) -> None:
        """Logs the means over samples and over tokens; longer sources only if there are any."""
        super().log_stage(stage)
        self.token_means.log(self, stage)
        self.log(f"{stage}/perplexity", self.perplexities[stage])
        if stage == "test":
            self.log("test/char_error_rate", self.char_error_rate)
            matches = self.longer.compute()  # of all devices
            if not matches.isnan():
                self.log("test/exact_match_longer", matches, sync_dist=True)
            self.longer.reset()

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Raises InputError if the checkpoint's tokens mean other characters."""
        saved = checkpoint.get("hyper_parameters", {}).get("vocabulary", self.hparams["vocabulary"])
        if list(saved) != self.hparams["vocabulary"]:
            raise InputError(
                "The checkpoint was trained on strings with other characters than the training part of these data: "
                "use its own data, or Seq2Seq.load_from_checkpoint(...).translate(strings) for others."
            )

    def search(self, source: Tensor, lengths: Tensor, beam_size: int | None = None) -> Decoded:
        """The outputs (B, max_target_length) for sources (B, S) of the given lengths (B,), and their log p.

        Args:
            source: Tokens, padded.
            lengths: Valid tokens of each source.
            beam_size: That of the hyperparameters if None; 1 is greedy search.
        """
        beam_size = self.hparams["beam_size"] if beam_size is None else beam_size
        check_sizes(beam_size=beam_size)
        with torch.no_grad():
            memory: Memory = self.net.encode(source, lengths)
            longest, repeated = self.hparams["max_target_length"], memory.repeat(beam_size)

            def step(tokens: Tensor, state: State) -> tuple[Tensor, State]:
                return self.net.step(tokens, state, repeated)

            if beam_size == 1:
                return greedy_search(step, memory.state, longest)
            return beam_search(step, memory.state, longest, beam_size, self.hparams["length_penalty"])

    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        """The tokens (B, max_target_length) that greedy search finds: each output, its end, padding."""
        return self.search(source, lengths, beam_size=1).tokens

    @in_evaluation
    def translate(self, texts: Sequence[str], beam_size: int | None = None) -> list[str]:
        """The output strings for source strings: ``translate(["12345"])`` gives ``["54321"]`` once trained to reverse.

        Characters that training had none of are read as <unk>. Dropout is off meanwhile.

        Args:
            texts: Sources, none of them empty.
            beam_size: That of the hyperparameters if None; 1 is greedy search.

        Raises:
            InputError: If a string is empty.
        """
        source, lengths = self.characters.sources(texts)
        parts = zip(source.to(self.device).split(TRANSLATED_AT_ONCE), lengths.split(TRANSLATED_AT_ONCE), strict=True)
        found = torch.cat([self.search(*part, beam_size).tokens for part in parts])
        return self.characters.texts(found)

    @torch.no_grad()
    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Where the decoder looked while it wrote, and examples of its outputs."""
        source, lengths, target = (tensor[:16] for tensor in batch)
        found = self.search(source, lengths)
        texts = [self.characters.texts(tokens) for tokens in (source, target, found.tokens)]
        figures = {"examples": string_table(*texts)}
        memory = self.net.encode(source, lengths)
        started = torch.cat([torch.full_like(found.tokens[:, :1], SOS), found.tokens[:, :-1]], dim=1)
        weights = self.net.decode(started, memory.state, memory)[2]
        if weights is not None:
            few = range(0, len(source), max(1, len(source) // 6))
            figures["attention"] = attention_maps([(texts[0][i], texts[2][i], weights[i]) for i in few][:6])
        return figures
