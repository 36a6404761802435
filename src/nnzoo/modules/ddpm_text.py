"""Denoising diffusion of images from texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError
from nnzoo.modules.ddpm import DDPM
from nnzoo.modules.ddpm_figures import COLUMNS, GUIDANCES
from nnzoo.modules.drawing import image_names, seeded
from nnzoo.modules.generative import images_and_labels
from nnzoo.nets.ddpm_text import TextUNet
from nnzoo.nets.layers import checked_labels
from nnzoo.nets.noise import Source
from nnzoo.plots.images import Picture, image_rows, short_names
from nnzoo.tokens import PAD, SOS, Words

Prompts = str | Sequence[str]


class TextDDPM(DDPM):
    """A denoising diffusion model of images given their captions: p(x | text).

    A transformer reads the words, and the U-Net attends to them wherever its maps attend to themselves, by
    cross-attention as in Rombach et al. 2021 (arXiv:2112.10752). In training a share of the captions is left out, for
    classifier-free guidance (arXiv:2207.12598).

    Wherever :class:`nnzoo.modules.ddpm.DDPM` takes labels, this model takes prompts: one text for all samples, a text
    for each, or tokens (B, N). A batch is images (B, C, H, W) and tokens (B, N), or texts.

    Args:
        vocabulary: The tokens by number, then words (the command line takes it from the data).
        caption_length: Tokens of the longest caption of training, N (the command line takes it from the data).
        example_captions: Captions of samples for which no prompt is given, in turn (the command line takes them from
            the data).
        prompt: What ``predict`` draws: a text, or several in turn; the example captions if not given.
        text_width: Length of a word's vector.
        text_layers: Transformer layers.
        text_heads: Attention heads of each.
        shared: What :class:`nnzoo.modules.ddpm.DDPM` takes.

    Raises:
        InputError: If a value is out of range, or a prompt has no words, too many, or such as no caption had.
    """

    told = "caption"

    def __init__(
        self,
        *,
        vocabulary: Sequence[str] = (),
        caption_length: int = 16,
        example_captions: Sequence[str] = (),
        prompt: str | Sequence[str] | None = None,
        text_width: int = 64,
        text_layers: int = 2,
        text_heads: int = 4,
        **shared: Any,
    ) -> None:
        # What is for points or for classes is fixed.
        super().__init__(
            architecture="unet",
            hidden=(256, 256, 256),
            frequencies=0,
            mode_centers=(),
            mode_std=0.0,
            conditional=True,
            num_classes=0,
            labels=None,
            **shared,
        )

    def check_conditions(self) -> None:
        """Raises InputError if there are no captions, or the prompt cannot be read."""
        hparams = self.hparams
        if not hparams["vocabulary"] or not hparams["example_captions"]:
            raise InputError(
                "TextDDPM needs data with captions: give it vocabulary, caption_length and example_captions of a "
                "CaptionedImageDataModule."
            )
        if not self.is_image:
            raise InputError("TextDDPM draws images, not points.")
        self.words = Words(hparams["vocabulary"], hparams["caption_length"])
        if hparams["prompt"] is not None:
            self.tokens(hparams["prompt"])

    def build_net(self) -> nn.Module:
        """A network (noised, times, tokens (B, N)) -> outputs (B, outputs_per_channel C, H, W)."""
        hparams = self.hparams
        text = {name: hparams[f"text_{name}"] for name in ("width", "layers", "heads")}
        text |= {"num_tokens": len(hparams["vocabulary"]), "length": hparams["caption_length"]}
        names = ("channels", "channel_mult", "blocks", "attention", "dropout")
        unet = {name: hparams[name] for name in names}
        channels = self.process.outputs_per_channel * hparams["in_shape"][0]
        return TextUNet(hparams["in_shape"], channels, text | {"dropout": hparams["dropout"]}, **unet)

    @property
    def num_conditions(self) -> int:
        """Number of captions of samples for which no prompt is given."""
        return len(self.hparams["example_captions"])

    def tokens(self, prompts: Prompts) -> Tensor:
        """Tokens (B, N) of prompts.

        Raises:
            InputError: If a prompt has no words, too many, or unknown ones.
        """
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        if not texts:
            raise InputError("There is no prompt in the list: give one at least, or leave --model.prompt out.")
        return self.words.prompts(texts)

    def conditions_of(self, numbers: Sequence[int]) -> Tensor:
        """Tokens of the example captions in turn."""
        examples = self.words.captions(self.hparams["example_captions"])
        return examples[torch.tensor(numbers) % len(examples)]

    def prompts_of(self, numbers: Sequence[int]) -> list[str]:
        """The prompts of samples that ``predict`` draws: those of ``prompt`` in turn, or the example captions."""
        prompt = self.hparams["prompt"]
        texts = [prompt] if isinstance(prompt, str) else prompt or self.hparams["example_captions"]
        return [texts[number % len(texts)] for number in numbers]

    def asked_of(self, numbers: Sequence[int]) -> Tensor:
        """Tokens of the prompts of ``predict``."""
        return self.words.captions(self.prompts_of(numbers))

    def sampled_labels(  # type: ignore[override]  # prompts stand in the place of labels
        self, num_samples: int, labels: Tensor | Prompts | None
    ) -> Tensor | None:
        """Tokens of samples: of a text for all, or of one for each; of the example captions in turn if None."""
        if isinstance(labels, str):
            labels = [labels] * num_samples
        if labels is not None and not isinstance(labels, Tensor):
            labels = self.tokens(labels)
        return super().sampled_labels(num_samples, labels)

    def checked_conditions(self, labels: Tensor | None) -> Tensor:
        """The tokens (B, N) on the CPU; raises InputError unless they are those of captions."""
        longest = self.hparams["caption_length"]
        if labels is None or labels.dim() != 2 or labels.shape[1] > longest or labels.is_floating_point():
            shape = "nothing" if labels is None else f"{labels.dtype} of shape {tuple(labels.shape)}"
            raise InputError(
                f"The model takes captions: texts, or tokens (B, N) of at most {longest} each, as "
                f"CaptionedImageDataModule gives them, got {shape}."
            )
        checked_labels(labels, len(self.hparams["vocabulary"]))
        if (labels[:, 0] == PAD).any():
            raise InputError("A caption of tokens starts with <sos>: TextDDPM.tokens makes them of texts.")
        return labels

    def no_conditions(self, labels: Tensor) -> Tensor:
        """Captions (B, N) without words."""
        empty = torch.full_like(labels, PAD)
        empty[:, 0] = SOS
        return empty

    def to_model(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        """Data in the model's scale, and tokens of the captions."""
        return super().to_model(self._encoded(batch))

    def checked(self, batch: Any, batch_idx: int) -> tuple[Tensor, Tensor | None]:
        """A batch as :meth:`to_model` gives it; raises InputError where images or captions do not fit the model."""
        return super().checked(self._encoded(batch), batch_idx)

    def _encoded(self, batch: Any) -> Any:
        """A batch of images and texts as one of images and tokens."""
        data, labels = images_and_labels(batch)
        if labels is None or isinstance(labels, Tensor):
            return batch
        texts = [labels] * len(data) if isinstance(labels, str) else labels
        return data, self.tokens(texts).to(data.device)

    @torch.no_grad()
    def sample(  # type: ignore[override]  # prompts stand in the place of labels
        self, num_samples: int, prompts: Tensor | Prompts | None = None, *, generator: Source = None, **how: Any
    ) -> Tensor:
        """Samples (num_samples, C, H, W): images in [0, 1].

        Args:
            num_samples: How many.
            prompts: What they show: a text for all, one for each, or tokens (num_samples, N); the example captions in
                turn if not given. With ``guidance`` 0 they do not count.
            generator: Source of the noise: on the model's device, or one on the CPU for each sample.
            how: steps, sampler, guidance and eta, see :meth:`steps_from`; the module's own if not given.
        """
        return super().sample(num_samples, self.sampled_labels(num_samples, prompts), generator=generator, **how)

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt of each image."""
        count = sum(map(len, predictions))
        return {"image": image_names(count), "prompt": self.prompts_of(range(count))}

    def samples_figure(self, facts: Mapping[str, Any]) -> Picture:
        """A row of images for each example caption, from the same noise in each column."""
        captions = self.hparams["example_captions"]
        rows = [self.sample(COLUMNS, caption, generator=seeded(range(COLUMNS))) for caption in captions]
        return image_rows(dict(zip(short_names(captions, 36), rows, strict=True)), "samples of captions")

    def guidance_figure(self) -> Picture:
        """The same noise with more and more guidance, of the longest example caption."""
        caption = max(self.hparams["example_captions"], key=len)
        noise = range(COLUMNS)
        rows = {
            f"guidance {scale:g}": self.sample(COLUMNS, caption, guidance=scale, generator=seeded(noise))
            for scale in GUIDANCES
        }
        return image_rows(rows, f"from no caption (0) to more and more of: {short_names([caption], 60)[0]}")
