"""A forked program is what ``python -m`` would be; other tests rely on that."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.forked import Forked, finish, run_forked, run_ranks

PROGRAM = """
import sys
loaded = {name.partition(".")[0] for name in sys.modules}
import gc, json, os, threading
state = {"argv": sys.argv[1:], "name": __name__, "spec": sys.modules["__main__"].__spec__.name, "cwd": os.getcwd(),
         "mine": os.environ.get("MINE"), "rank": os.environ.get("RANK"), "threads": threading.active_count(),
         "torch": "torch" in loaded, "frozen": gc.get_freeze_count() > 100_000,
         "ours": [name for name in sys.modules if name.startswith("nnzoo.")]}
print(json.dumps(state))
print("said", file=sys.stderr)
for statement in sys.argv[1:]:
    exec(statement)
"""


@pytest.fixture
def program(in_tmp):
    (in_tmp / "program.py").write_text(PROGRAM)
    return ["program"]


def test_a_program_has_its_own_arguments_folder_environment_and_output_and_nothing_of_nnzoo(program, tmp_path):
    result = run_forked([*program, "1 + 1"], env={**os.environ, "MINE": "x"})
    assert result.returncode == 0
    assert result.stderr == "said\n"
    state = json.loads(result.stdout)
    assert state == {"argv": ["1 + 1"], "name": "__main__", "spec": "program", "cwd": str(tmp_path), "mine": "x",
                     "rank": None, "threads": 1, "torch": True, "frozen": True, "ours": ["nnzoo.recipes"]}  # fmt: skip
    assert "MINE" not in os.environ


@pytest.mark.parametrize(
    ("statement", "code", "says"),
    [
        ("sys.exit(3)", 3, "said"),
        ("sys.exit('a reason')", 1, "a reason"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL, "said"),
    ],
)
def test_its_end_is_that_of_an_interpreter(program, statement, code, says):
    result = run_forked([*program, statement])
    command = subprocess.run([sys.executable, "-m", *program, statement], capture_output=True, text=True)
    assert result.returncode == command.returncode == code
    assert result.stderr.splitlines()[-1] == command.stderr.splitlines()[-1] == says


def test_it_can_be_killed_while_it_runs(program):
    running = Forked([*program, "import time; time.sleep(60)"])
    running.process.kill()
    assert running.result().returncode == -signal.SIGKILL


def test_one_that_takes_too_long_is_killed(program):
    with pytest.raises(subprocess.TimeoutExpired):
        run_forked([*program, "import time; time.sleep(60)"], timeout=0.5)


def test_the_others_of_one_that_fails_are_killed(program):
    sleeping, failing = Forked([*program, "import time; time.sleep(60)"]), Forked([*program, "sys.exit(3)"])
    assert [result.returncode for result in finish(sleeping, failing)] == [-signal.SIGKILL, 3]


def test_processes_that_work_together_know_their_rank(program):
    reduce = (
        "import torch, torch.distributed as d; d.init_process_group('gloo'); t = torch.ones(1) * (1 + d.get_rank()); "
        "d.all_reduce(t); print(t.item())"
    )
    results = run_ranks([*program, reduce])
    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    states, sums = zip(*(result.stdout.splitlines() for result in results), strict=True)
    assert [json.loads(state)["rank"] for state in states] == ["0", "1"]
    assert sums == ("3.0", "3.0")
