"""Memory that a run keeps for its next step, on glibc."""

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from nnzoo.recipes import mlp

import nnzoo.run.cli as cli_module
from nnzoo.run import allocator
from support.runs import QUICK

FAULTS = """
import ctypes, resource, sys
from nnzoo.run.allocator import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
size = 16 << 20

def step():
    buffers = [ctypes.c_void_p(libc.malloc(size)) for _ in range(4)]
    for buffer in buffers:
        libc.memset(buffer, 1, size)
    for buffer in buffers:
        libc.free(buffer)

done = "keep" in sys.argv and keep_freed_memory()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(int(done), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Prints whether the allocator was set, and the page faults of ten steps that fill four buffers and free them."""
glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None) if os.name == "posix" else None, "gnu_get_libc_version"),
                           reason="the allocator is not glibc's")  # fmt: skip


def page_faults(*args, **variables):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(allocator.TUNED_BY)}
    command = [sys.executable, "-c", FAULTS, *args]
    result = subprocess.run(command, env=inherited | variables, capture_output=True, text=True, check=True)
    done, faults = result.stdout.split()
    return done == "1", int(faults)


@glibc
def test_what_a_step_frees_is_there_for_the_next_one():
    _, left_alone = page_faults()
    done, kept = page_faults("keep")
    assert done
    assert left_alone > 100, "an allocator that already keeps it needs no setting"
    assert kept < left_alone / 10


@glibc
@pytest.mark.parametrize("variable", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_an_allocator_that_the_user_has_set_is_left_alone(variable):
    value = {"MALLOC_ARENA_MAX": "2", "GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}[variable]
    done, faults = page_faults("keep", **{variable: value})
    assert not done
    assert faults > 100


@pytest.mark.parametrize("found", [None, SimpleNamespace(malloc=0), SimpleNamespace(mallopt=0)], ids=str)
def test_nothing_happens_where_there_is_no_glibc(found, monkeypatch):
    def library(name):
        if found is None:
            raise TypeError("LoadLibrary() argument 1 must be str, not None")
        return found

    for name in [name for name in os.environ if name.startswith(allocator.TUNED_BY)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert not allocator.keep_freed_memory()


def test_a_glibc_that_refuses_large_sizes_is_given_a_smaller_one(monkeypatch):
    asked = []

    class Old:
        gnu_get_libc_version = None

        def mallopt(self, parameter, value):
            asked.append((parameter, value))
            return int(parameter != allocator.MMAP_THRESHOLD or value <= 32 << 20)

    for name in [name for name in os.environ if name.startswith(allocator.TUNED_BY)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Old())
    assert allocator.keep_freed_memory()
    assert asked[-1] == (allocator.MMAP_THRESHOLD, 32 << 20)
    assert all(-(2**31) <= value < 2**31 for _, value in asked), "mallopt takes a C int"


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize(("on_cpu", "times"), [(True, 1), (False, 0)])
def test_a_run_sets_it_on_the_cpu_alone(on_cpu, times, in_tmp, monkeypatch):
    calls = []
    monkeypatch.setattr(cli_module, "on_cpu", lambda get: on_cpu)
    monkeypatch.setattr(cli_module, "keep_freed_memory", lambda: calls.append(1))
    mlp.main(["fit", *QUICK])
    assert len(calls) == times
