"""What a causal language model is used for: it writes behind a prompt, in Python, by ``predict`` and in a picture."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.text.encoding import InstructionEncoder, special_around
from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.modules.token_loss import TokenLossModule
from nnzoo.nets.clm import check_drawing, continue_texts, longest_text
from nnzoo.plots.written import text_table
from nnzoo.seeds import mix_seed
from nnzoo.tokens import IGNORED

SHOWN, OPENING, WRITTEN = 4, 8, 40
"""Texts of the picture; the tokens of a held-out text that they begin with, and the most tokens written behind them."""
WIDTH = 46
"""Characters of a line of the picture."""
DRAWN_AT_ONCE = 16
"""Texts of a batch of ``predict``."""


class WritingModule(TokenLossModule):
    """A module that writes: ``predict`` reads no data, but goes on behind prompts, each batch from a seed of its own.

    Args:
        instructs: Whether prompts are instructions (the command line takes it from the data), which are then put as in
            training: in the tokenizer's chat template where it has one, with a line break behind them otherwise.
        template: What each instruction is put into before (the command line takes it from the data).
        prompt: What the texts of ``predict`` begin with: a text, or several.
        num_texts: How many texts ``predict`` writes for each prompt.
        max_new_tokens: The most tokens that are written behind a prompt.
        temperature: Of the distribution that is drawn from; 0 always takes the likeliest token.
        top_k: Draw among so many of the likeliest tokens; 0 for all.
        top_p: Draw among the likeliest tokens that have this probability together (arXiv:1904.09751).
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.

    Raises:
        InputError: If a value is out of range.
    """

    draws = True
    net: Any
    tokenizer: Any

    def __init__(
        self,
        *,
        instructs: bool = False,
        template: str | None = None,
        prompt: str | Sequence[str] = "The",
        num_texts: int = 1,
        max_new_tokens: int = 64,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 0.95,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        check_sizes(num_texts=self.hparams["num_texts"])
        check_drawing(**self.drawing())
        if not self.prompts:
            raise InputError("There is no prompt in the list: give one at least, or leave --model.prompt out.")

    @property
    def prompts(self) -> list[str]:
        """The prompts of ``predict``."""
        prompt = self.hparams["prompt"]
        return [prompt] if isinstance(prompt, str) else list(prompt)

    def drawing(self) -> dict[str, Any]:
        """How the next token is chosen, and of how many."""
        return {name: self.hparams[name] for name in ("max_new_tokens", "temperature", "top_k", "top_p")}

    def generate(self, prompts: str | Sequence[str], *, seed: int = 0, **how: Any) -> Any:
        """Texts that begin with prompts, as a list; a text for one prompt that is no list.

        Args:
            prompts: A text, or several, which are written at once.
            seed: Of what is drawn; the global random generators are left as they are.
            how: max_new_tokens, temperature, top_k and top_p; the module's own if not given.

        Raises:
            InputError: If a prompt is too long, or the model has no tokenizer.
        """
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        written = self.written(self.tokens_of(texts), seed, **how)
        found = [f"{text}{self.decoded(own)}" for text, own in zip(texts, written, strict=True)]
        return found[0] if isinstance(prompts, str) else found

    def tokens_of(self, prompts: Sequence[str]) -> list[list[int]]:
        """The tokens of prompts, as :func:`prompt_tokens` makes them; raises InputError if there is no tokenizer."""
        if self.tokenizer is None:
            raise InputError("The model has no tokenizer, so it reads no prompts: give it tokenizer_files.")
        instructs, template = self.hparams["instructs"], self.hparams["template"]
        if instructs and template is not None:
            pieces = template.replace("{text_pair}", "").split("{text}")  # a prompt may hold such a place itself
            prompts = [prompt.join(pieces) for prompt in prompts]
        return prompt_tokens(self.tokenizer, prompts, instructs)

    @in_evaluation
    def written(self, prompts: Sequence[Sequence[int]], seed: int, **how: Any) -> Tensor:
        """The tokens (B, max_new_tokens) that are written behind those of prompts, padded; see :meth:`generate`."""
        if unknown := set(how) - set(self.drawing()):
            raise InputError(f"There is no {min(unknown)}: choose among {', '.join(self.drawing())}.")
        how = self.drawing() | how
        check_drawing(**how)
        with self.computing():
            return continue_texts(self.net, self.tokenizer, prompts, seed=seed, **how)

    def computing(self) -> AbstractContextManager[Any]:
        """What the network runs in: nothing particular."""
        return nullcontext()

    def decoded(self, tokens: Tensor) -> str:
        """What was written, up to the end of the text."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def drawing_loader(self) -> DataLoader[Any]:
        """Batches of the numbers of the texts that ``predict`` writes."""
        numbers: Any = range(len(self.prompts) * self.hparams["num_texts"])
        return DataLoader(numbers, batch_size=DRAWN_AT_ONCE)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Tokens (B, max_new_tokens) for a batch of numbers; of a batch of data each text's loss per token (B,)."""
        if isinstance(batch, Mapping):
            losses, tokens = self.losses(batch)
            return losses / tokens.clamp(min=1)
        numbers = batch.tolist()
        prompts = [self.prompts[number // self.hparams["num_texts"]] for number in numbers]
        return self.written(self.tokens_of(prompts), mix_seed(torch.initial_seed(), numbers[0]))

    @abstractmethod
    def losses(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood of each text, summed over its tokens, in nats, and the number of these: (B,) both."""

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The prompts and what was written behind them; of data the loss of each text."""
        if predictions[0].dim() == 1:
            return {"loss": torch.cat(list(predictions)).tolist()}
        written = [self.decoded(tokens) for batch in predictions for tokens in batch]
        prompts = [self.prompts[number // self.hparams["num_texts"]] for number in range(len(written))]
        return {"prompt": prompts, "text": written}

    @contextmanager
    def before_training(self) -> Iterator[bool]:
        """Makes the network what it was before training; yields whether there was anything to make it."""
        yield False

    def figures(self, batch: Mapping[str, Tensor], facts: Mapping[str, Any]) -> dict[str, Figure]:
        """How a few held-out texts go on: as the model writes, before training too, and as they were written."""
        if self.tokenizer is None:
            return {}
        length = min(WRITTEN, self.hparams["max_new_tokens"])
        texts = [
            divided(ids[mask.bool()], labels[mask.bool()])
            for ids, mask, labels in zip(batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True)
        ]
        room = longest_text(self.net.config) or math.inf
        texts = [(opening, rest) for opening, rest in texts if len(rest) and len(opening) + length <= room][:SHOWN]
        if not texts:
            return {}
        openings = [opening for opening, _ in texts]
        columns = {"opening": [self.decoded(opening) for opening in openings]}
        with self.before_training() as was:
            if was:
                columns["before training"] = self._continued(openings, length)
        columns["after training"] = self._continued(openings, length)
        columns["as it was written"] = [self.decoded(rest[:length]) for _, rest in texts]
        return {"texts": text_table(columns, "how held-out texts go on", width=WIDTH)}

    def _continued(self, openings: Sequence[Tensor], length: int) -> list[str]:
        written = self.written([opening.tolist() for opening in openings], 0, max_new_tokens=length)
        return [self.decoded(tokens) for tokens in written]


def divided(ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A text's opening and the rest: the prompt of an instruction, else the first ``OPENING`` tokens."""
    prompt = int((labels != IGNORED).int().argmax())  # 0 where there is none
    return ids[: prompt or OPENING], ids[prompt or OPENING :]


def prompt_tokens(tokenizer: Any, prompts: Sequence[str], instructs: bool) -> list[list[int]]:
    """Tokens of prompts, each as a text of training begins.

    Args:
        tokenizer: Of transformers.
        prompts: The texts.
        instructs: Whether they are instructions.

    Raises:
        InputError: If a prompt is empty and there is no token for the start of a text.
    """
    chat = instructs and bool(tokenizer.chat_template)
    if instructs:
        prompts = [InstructionEncoder(tokenizer).opening(prompt) for prompt in prompts]
    before = [] if chat else special_around(tokenizer)[0]
    start = [token for token in (tokenizer.bos_token_id, tokenizer.eos_token_id) if token is not None][:1]
    found = [before + tokenizer(prompt, add_special_tokens=False)["input_ids"] or start for prompt in prompts]
    if not all(found):
        raise InputError("The tokenizer has no token for the start of a text: give a prompt that is not empty.")
    return found
