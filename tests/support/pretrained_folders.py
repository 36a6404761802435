"""Pretrained models as folders of a user's."""

import shutil

from nnzoo.nets.pretrained import packaged


def write_folder(name: str, *folders: str) -> None:
    """A packaged model as a folder of the user's."""
    for folder in folders:
        shutil.copytree(packaged(name), folder, dirs_exist_ok=True)
