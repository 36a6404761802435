"""Programs as processes of their own, forked from a server that has imported what takes seconds to import.

A child is what ``python -m MODULE ARGUMENTS`` would be: with its own arguments, folder, environment, output and exit
code, and it can be killed. The server has imported the packages that nnzoo uses and nothing of nnzoo, so every child
still imports nnzoo by itself. Environment variables that a package reads when it is imported are those of the server.
"""

import ast
import functools
import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path

import nnzoo.recipes
from lightning.fabric.plugins.environments.lightning import find_free_network_port

Result = subprocess.CompletedProcess[str]


def packages() -> list[str]:
    """Every module that a file of nnzoo or a recipe imports from elsewhere."""
    found: set[str] = set()
    for folder in (*nnzoo.__path__, *nnzoo.recipes.__path__):
        for path in Path(folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    # What is imported from a package may be a module; the server passes over what is none.
                    found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return sorted(name for name in found if name.partition(".")[0] != "nnzoo")


@functools.cache
def server() -> multiprocessing.context.ForkServerContext:
    """The server, whose process starts with the first child."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(packages())
    return context


class Forked:
    """A program that runs in a process of its own.

    Args:
        program: A module, which may lie in the tests' folder, and its arguments.
        cwd: Working directory; the present one if None.
        env: Environment variables; the present ones if None.

    Attributes:
        process: The process, with ``pid``, ``kill()`` and ``exitcode``.
    """

    def __init__(self, program: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self.program = list(program)
        self._folder = tempfile.TemporaryDirectory()
        self._outputs = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        environment = dict(os.environ if env is None else env)
        self.process = server().Process(target=_run, args=(self.program, self._outputs, cwd or Path.cwd(), environment))
        self.process.start()

    def result(self) -> Result:
        """What became of it, once it has ended."""
        self.process.join()
        texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in self._outputs]
        return subprocess.CompletedProcess(self.program, self.process.exitcode, *texts)


def _run(program: list[str], outputs: list[Path], cwd: Path, env: dict[str, str]) -> None:
    gc.freeze()  # else collections of garbage copy the memory that is shared with the server
    for descriptor, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))  # as -m does
    sys.argv[1:] = program[1:]
    runpy.run_module(program[0], run_name="__main__", alter_sys=True)


def finish(*running: Forked, timeout: float = 300) -> list[Result]:
    """Waits for processes; as soon as one fails the others, which may wait for it, are killed.

    Raises:
        subprocess.TimeoutExpired: If one takes too long; all that still run are killed.
    """
    end = time.monotonic() + timeout
    left = {one.process.sentinel: one for one in running}
    while left:
        ended = [left.pop(sentinel) for sentinel in wait(list(left), max(0, end - time.monotonic()))]
        if not ended or any(one.process.exitcode for one in ended):
            break
    for one in left.values():
        one.process.kill()
    if left and not ended:
        result = next(iter(left.values())).result()
        raise subprocess.TimeoutExpired(result.args, timeout, result.stdout, result.stderr)
    return [one.result() for one in running]


def run_forked(
    program: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300
) -> Result:
    """Runs ``python -m PROGRAM`` to its end, as ``subprocess.run`` does; takes what :class:`Forked` does."""
    (result,) = finish(Forked(program, cwd, env), timeout=timeout)
    return result


def run_ranks(program: Sequence[str], count: int = 2, timeout: float = 300) -> list[Result]:
    """Runs a program in several processes that work together, as ``torchrun`` does on one machine."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port()), "TORCHELASTIC_RUN_ID": "tests"}
    shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0"}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    return finish(*(Forked(program, env={**os.environ, **shared, **rank}) for rank in ranks), timeout=timeout)
