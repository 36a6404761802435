"""The peers' environment: packages of their own, on the running interpreter's torch and everything else it has."""

import site
import subprocess
import sys
import venv
from pathlib import Path

from nnzoo.errors import InputError

PINNED = {
    "skorch": ["skorch==1.4.0", "tabulate==0.10.0"],
    # fastprogress 1.1 needs a web framework; fastai asks for spacy, which only its texts use.
    "fastai": [
        "fastai==2.8.12", "fastcore==2.2.41", "fastdownload==0.0.8", "fastprogress==1.0.5", "fasttransform==0.0.5",
        "plum-dispatch==2.9.0", "beartype==0.23.1", "cloudpickle==3.1.2",
    ],
    "pythae": ["pythae==0.1.2", "cloudpickle==3.1.2"],
    "darts": ["darts==0.48.1", "holidays==0.109"],
}  # fmt: skip
"""What each peer needs beyond what nnzoo has. Nothing else is installed with it: another torch would come along."""


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python" if sys.platform != "win32" else folder / "Scripts" / "python.exe"


def install(folder: Path) -> list[str]:
    """Makes the environment and installs the peers; returns a sentence for each that cannot be installed.

    Raises:
        InputError: If the folder holds something else, or is the running interpreter's own environment.
    """
    if runs_in(folder) or (folder.is_dir() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file()):
        raise InputError(f"{folder} is not an environment of the peers alone: name an empty folder, or a new one.")
    venv.create(folder, with_pip=False)
    python = python_of(folder)
    asked = [str(python), "-c", "import site; print(site.getsitepackages()[0])"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    (packages / "borrowed.pth").write_text("".join(f"import site; site.addsitedir({p!r})\n" for p in borrowed()))
    failed = []
    for peer, pinned in PINNED.items():
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", *pinned]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            failed.append(f"{peer} cannot be installed: {lines[-1]}")
    return failed


def borrowed() -> list[str]:
    """Folders of packages of the running interpreter, whose own .pth files count too (an editable nnzoo is one)."""
    known = {*site.getsitepackages(), site.getusersitepackages()}
    return [path for path in sys.path if path in known or Path(path).name in ("site-packages", "dist-packages")]


def runs_in(folder: Path) -> bool:
    """Whether this is that environment's interpreter."""
    return Path(sys.prefix).resolve() == folder.resolve()
