"""Images with captions: of digits, written from what is measured of them, or of a folder of the user's own."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from nnzoo.data.base import random_rows
from nnzoo.data.facts import fact, held
from nnzoo.data.images.dataset import ImageDataset
from nnzoo.data.images.digit_captions import DRAWS, EXAMPLES, DigitStates, digit_captions
from nnzoo.data.images.folder_captions import folder_captions
from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.images.source import ImageSource
from nnzoo.data.images.sources import SOURCES
from nnzoo.data.sampler import BatchIndex
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS
from nnzoo.errors import InputError
from nnzoo.seeds import mix_seed
from nnzoo.tokens import Words, build_vocabulary, words_of

NUM_EXAMPLES = 10
SAME_DATA = "take the data that it was trained on, as others have other words"
Groups = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def group_of_row(images: Tensor, labels: Tensor, rows: Tensor, uniform: Tensor) -> Tensor:
    """Each image's own group of captions."""
    return rows


class CaptionTable:
    """Captions in groups, any of which an image of the group may have.

    Args:
        groups: The captions of each group, one at least.
        words: Their encoding.
    """

    def __init__(self, groups: Sequence[Sequence[str]], words: Words) -> None:
        self.counts = torch.tensor([len(group) for group in groups])
        self.firsts = self.counts.cumsum(0) - self.counts
        self.tokens = words.captions([caption for group in groups for caption in group])

    def __call__(self, groups: Tensor, uniform: Tensor) -> Tensor:
        """A caption (B, N) out of each group (B,), by numbers (B,) drawn uniformly from [0, 1)."""
        counts = self.counts[groups]
        chosen = torch.minimum((uniform * counts).long(), counts - 1)
        return self.tokens[self.firsts[groups] + chosen]


class CaptionedImages(ImageDataset):
    """Images (B, C, H, W) with the tokens of a caption each (B, N), fetched by whole batches.

    A training image has one of its captions, drawn anew in each epoch; any other image always the same.

    Args:
        dataset: The images.
        table: Their captions.
        groups: From images, labels, rows of the data set and numbers (B, DRAWS) in [0, 1) to groups of captions.
        rows: Row in the data set of each image (n,).
        seed: Of captions that stay the same; None draws them anew.
    """

    def __init__(
        self, dataset: ImageDataset, table: CaptionTable, groups: Groups, rows: Tensor, seed: int | None
    ) -> None:
        super().__init__(dataset.images, dataset.labels, dataset.levels, dataset.augment, dataset.binarize)
        self.table, self.groups, self.rows, self.draws = table, groups, rows, None
        if seed is not None:
            self.draws = torch.rand(len(rows), DRAWS, generator=torch.Generator().manual_seed(seed))

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, Tensor]:
        images, labels = super().__getitems__(batch)
        if self.draws is None:
            generator = torch.Generator().manual_seed(mix_seed(batch.seed, 1))  # not that of the augmentations
            draws = torch.rand(batch.size, DRAWS, generator=generator)[batch.rows]
        else:
            draws = self.draws[batch.samples]
        groups = self.groups(images, labels, self.rows[batch.samples], draws)
        return images, self.table(groups, draws[:, -1])


class CaptionedImageDataModule(ImageDataModule):
    """Images in [0, 1] with captions: batches of float (B, C, H, W) and tokens (B, N).

    Captions of the digits say what an image shows, and half of the time each whether its strokes are thin or bold and
    whether it is tilted to the left or to the right, beside the training images of the same digit, in several wordings.
    They are measured of the image as it is after its augmentation, so that they are right whatever that does. Those of
    a folder stand in its ``metadata.csv``, with columns ``file_name`` and ``text``; an image with several rows has any
    of them.

    Words of validation and test captions that no training caption has are left out.

    Args:
        dataset: digits | mnist | folder, as :class:`nnzoo.data.images.module.ImageDataModule` has them.
        shared: What that takes.

    Raises:
        InputError: If captions are missing, or have no words.
    """

    names: ClassVar[Sequence[str]] = ("digits", "mnist", "folder")
    sources: ClassVar[Mapping[str, type[ImageSource]]] = {name: SOURCES[name] for name in names}
    acts_with = options_of(sources)

    def __init__(self, *, dataset: Literal["digits", "mnist", "folder"] = "digits", **shared: Any) -> None:
        super().__init__(dataset=dataset, **shared)
        self._rows: dict[str, Tensor] = {}

    @held(SAME_DATA)
    def vocabulary(self) -> list[str]:
        """The special tokens, then the words of the training captions."""
        return build_vocabulary(words_of(caption) for caption in self._training_captions)

    @held(SAME_DATA)
    def caption_length(self) -> int:
        """Tokens of the longest training caption: its words, and the start."""
        return 1 + max(len(words_of(caption)) for caption in self._training_captions)

    @fact
    def example_captions(self) -> list[str]:
        """Some captions, for pictures and for models of which nothing is asked."""
        if not self._is_folder:
            return list(EXAMPLES)
        captions = sorted(set(self._training_captions))
        return [captions[row] for row in random_rows(len(captions), NUM_EXAMPLES).tolist()]

    @property
    def _is_folder(self) -> bool:
        return self.dataset == "folder"

    @cached_property
    def _written(self) -> Mapping[Path, list[str]]:
        """The captions of a folder's images."""
        return folder_captions(self.source.root, self.source.images.paths)

    @cached_property
    def _groups(self) -> Sequence[Sequence[str]]:
        """Captions in groups: those of each image of a folder, or of each that can be said of a digit."""
        if not self._is_folder:
            return digit_captions()
        written = self._written  # before images are decoded, so that a fault is told at once
        self.setup()
        return [written[path] for path in self.source.images.paths]  # without those that could not be decoded

    @cached_property
    def _training_captions(self) -> list[str]:
        groups = self._groups
        chosen = self._rows["train"].tolist() if self._is_folder else range(len(groups))
        return [caption for row in chosen for caption in groups[row]]

    @cached_property
    def states(self) -> DigitStates | None:
        """What captions of digits say of an image; None of a folder, whose captions say anything."""
        return None if self._is_folder else DigitStates(*self.tensors("train"))

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        super().check_settings()
        if self.hparams["binarize"] == "dynamic" and not self._is_folder:
            raise InputError(
                "Pixels drawn anew have no thickness that captions could tell: set --data.binarize static."
            )

    def setup(self, stage: str | None = None) -> None:
        """Loads and splits the data, and gives all parts their captions; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        super().setup(stage)
        if "train" not in self.parts:
            return
        words = Words(self.vocabulary, self.caption_length)
        table = CaptionTable(self._groups, words)
        groups = group_of_row if self.states is None else self.states.groups
        for number, part in enumerate(PARTS):
            seed = None if part == "train" else mix_seed(self.hparams["split_seed"], number)
            self.parts[part] = CaptionedImages(self._part(part), table, groups, self._rows[part], seed)
        if self._is_folder:
            self._warn_of_new_words(words)

    def _warn_of_new_words(self, words: Words) -> None:
        held_out = [text for part in PARTS[1:] for row in self._rows[part].tolist() for text in self._groups[row]]
        new = {word: None for text in held_out for word in words.unknown(text)}
        if new:
            count = sum(bool(words.unknown(text)) for text in held_out)
            rank_zero_warn(
                f"{count} of {len(held_out)} validation and test captions have words that no training caption has, "
                f"such as {', '.join(list(new)[:5])}: these words are left out."
            )
        long = sum(len(words_of(text)) >= self.caption_length for text in held_out)
        if long:
            rank_zero_warn(
                f"{long} validation and test captions are longer than all of training: their ends are cut off."
            )

    def _dataset(self, part: str, images: Any, labels: Tensor, rows: Tensor, levels: int = 256) -> ImageDataset:
        self._rows[part] = rows
        return super()._dataset(part, images, labels, rows, levels)

    def captions(self, part: str, count: int) -> Tensor:
        """Tokens (count, N) of the captions of the images that :meth:`tensors` gives.

        Args:
            part: val | test.
            count: As for :meth:`tensors`.
        """
        self.setup()
        chosen = random_rows(len(self._part(part)), count).sort().values
        return self._part(part).__getitems__(BatchIndex(chosen, 0, slice(None), len(chosen)))[1]
