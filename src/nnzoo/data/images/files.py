"""Finding the images under a folder: links are followed, and what is left out is named."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from nnzoo.errors import InputError

EXTENSIONS = (*IMG_EXTENSIONS, ".gif")
METADATA = "metadata.csv"
"""The table of captions beside images, which is no file that is left out."""
PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
KINDS = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


class File(NamedTuple):
    """A file, behind all links.

    Attributes:
        real: Where it really lies.
        size: In bytes.
        changed: When it was last written to, in nanoseconds.
    """

    real: str
    size: int
    changed: int


def find_images(root: Path) -> tuple[dict[Path, File], list[tuple[str, Path]]]:
    """The images under a folder and all folders inside, links followed, and what else lies there with its kind.

    A link back to a folder above it is left out, and so are hidden folders and hidden images (macOS writes ._photo.jpg
    beside photo.jpg); other hidden files do not count at all.
    """
    images: dict[Path, File] = {}
    left_out: list[tuple[str, Path]] = []
    for path, kind in _walk(root, (os.path.realpath(root),)):
        if isinstance(kind, File):
            images[path] = kind
        else:
            left_out.append((kind, path))
    return dict(sorted(images.items())), sorted(left_out, key=lambda item: item[1])


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[tuple[Path, File | str]]:
    """All that lies under a folder: images, and the kind of the rest. ``above`` are the real folders down to it."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        yield folder, f"folder that cannot be opened ({error.strerror})"
        return
    for entry in entries:
        path, hidden = Path(entry.path), entry.name.startswith(".")
        try:
            status = entry.stat()
        except OSError:
            yield path, "link to itself or to nothing"
            continue
        real = os.path.realpath(path) if entry.is_symlink() else os.path.join(above[-1], entry.name)
        if stat.S_ISDIR(status.st_mode):
            if hidden:
                yield path, "hidden folder"
            elif real in above:
                yield path, "link to a folder above it"
            else:
                yield from _walk(path, (*above, real))
        elif not stat.S_ISREG(status.st_mode):
            yield path, KINDS.get(stat.S_IFMT(status.st_mode), "special file")
        elif path.suffix.lower() in EXTENSIONS:
            yield path, "hidden image" if hidden else File(real, status.st_size, status.st_mtime_ns)
        elif not hidden and path.name != METADATA:
            yield path, f"file {path.suffix.lower()}" if path.suffix else "file without extension"


def classified(root: Path, paths: Sequence[Path]) -> tuple[list[str], list[str], Tensor]:
    """The official part of each image ("" where there is none), the classes, and the class number of each image.

    Raises:
        InputError: If something lies beside the folders of the parts, or images beside those of the classes.
    """
    inside = [path.relative_to(root).parts for path in paths]
    part_of = {name: part for part, names in PARTS.items() for name in names}
    tops = {names[0].lower() for names in inside if len(names) > 1}
    evaluation = tops & set(part_of) - set(PARTS["train"])
    nested = all(len(names) > 2 for names in inside)
    has_parts = bool(tops & set(PARTS["train"])) and bool(evaluation or (len(tops) == 1 and nested))
    unknown = [names[0] for names in inside if names[0].lower() not in part_of]
    if has_parts and unknown:
        raise InputError(
            f"{root} holds {unknown[0]} beside folders for training and {', '.join(sorted(evaluation))}: move "
            "it out, or rename them if they are classes."
        )
    parts = [part_of[names[0].lower()] if has_parts else "" for names in inside]
    owners = [names[1:] if has_parts else names for names in inside]
    names = [owner[0] if len(owner) > 1 else "" for owner in owners]
    classes = sorted(set(names))
    if len(classes) > 1 and "" in classes:
        loose = paths[names.index("")]
        raise InputError(f"{loose} lies beside class folders: move it into one of them.")
    labels = torch.tensor([classes.index(name) for name in names])
    return parts, ([] if classes == [""] else classes), labels


def counted(left_out: Sequence[tuple[str, Path]], root: Path) -> str:
    """Kinds with their numbers and the first of each, the most frequent first."""
    counts, first = Counter(kind for kind, _ in left_out), dict(reversed(left_out))
    return ", ".join(f"{count} x {kind} ({shown(first[kind], root)})" for kind, count in counts.most_common())


def listed(paths: Sequence[Path], root: Path, most: int = 5) -> str:
    """The first few paths, and how many more there are."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(shown(path, root) for path in paths[:most]) + more


def shown(path: Path, root: Path) -> str:
    """A path inside a folder as a text that can be printed, whatever bytes its name is made of."""
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return str(inside).encode(errors="backslashreplace").decode()
