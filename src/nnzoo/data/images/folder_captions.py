"""Captions of a user's images, in a table beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnzoo.data.csv_file import check_columns, line_of, read_csv
from nnzoo.data.images.files import METADATA, listed, shown
from nnzoo.errors import InputError
from nnzoo.tokens import words_of

NAME, TEXT = "file_name", "text"
"""The columns, as in Hugging Face's ImageFolder."""


def folder_captions(root: Path, paths: Sequence[Path]) -> Mapping[Path, list[str]]:
    """The captions of each image, from ``metadata.csv`` of the folder or of folders inside it, several rows for some.

    Its column ``file_name`` names images from the folder of the file on, ``text`` says what they show; others do not
    count.

    Args:
        root: The folder.
        paths: The images in it.

    Raises:
        InputError: If there is no such file, it names an image that does not exist, a caption has no words, or an
            image has no caption.
    """
    folders = {root, *(parent for path in paths for parent in path.parents if parent.is_relative_to(root))}
    files = [folder / METADATA for folder in sorted(folders) if (folder / METADATA).is_file()]
    if not files:
        raise InputError(
            f"The images of {root} have no captions: write them into {root / METADATA}, with a header {NAME},{TEXT} "
            "and rows such as cat.png,a black cat on a chair."
        )
    captions: dict[Path, list[str]] = {path: [] for path in paths}
    for file in files:
        table = read_csv(file, "root")
        check_columns(table, [NAME, TEXT], "captions of images", file)
        images = table[NAME].map(lambda name, folder=file.parent: folder / name)
        absent = ~images.map(lambda path: path in captions or path.is_file()) | (table[NAME] == "")
        if absent.any():
            raise InputError(
                f"{file} has captions of {absent.sum()} images that do not exist, the first in line {line_of(absent)}: "
                f"{table[NAME][absent].iloc[0] or 'a row without a name'}: paths count from {file.parent}."
            )
        wordless = ~table[TEXT].map(lambda text: bool(words_of(text)))
        if wordless.any():
            raise InputError(
                f"{file} has {wordless.sum()} captions without a word, the first in line {line_of(wordless)}: say what "
                "these images show, or take the rows out."
            )
        for path, text in zip(images, table[TEXT], strict=True):
            captions.get(path, []).append(text)  # an image that cannot be read may have been left out
    missing = [path for path, texts in captions.items() if not texts]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(paths)} images in {root} have no caption: add rows to "
            f"{shown(files[0], root)} for {listed(missing, root)}, or take these images out."
        )
    return captions
