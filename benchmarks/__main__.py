"""Times the training steps of every family beside a bare PyTorch loop and its peers.

Every family has a process of its own. What is measured, and how, is in benchmarks/README.md.

    python -m benchmarks
    python -m benchmarks --family mlp_digits
    python -m benchmarks peers ~/peers
    python -m benchmarks --peers ~/peers
    python -m benchmarks table
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import results
from benchmarks.families import FAMILIES
from benchmarks.measure import measured
from benchmarks.peers import install, python_of, runs_in
from nnzoo.errors import InputError, run_main

ROOT = Path(__file__).parent.parent


def folder(path: str) -> Path:
    return Path(path).expanduser().resolve()


def arguments(args: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", nargs="*", help="peers FOLDER, or table; without it, families are measured")
    parser.add_argument("--family", choices=FAMILIES, help="only this one")
    parser.add_argument("--rounds", type=int, default=7, help="rounds in which all take turns; a record has 7 or more")
    parser.add_argument("--steps", type=int, help="training steps of an epoch, instead of the family's own number")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; processor time adds them up")
    parser.add_argument("--peers", type=folder, help="folder of the peers' environment")
    parser.add_argument("--results", type=folder, default=results.RESULTS, help="folder that the JSON files go to")
    found = parser.parse_args(args)
    if found.what not in ([], ["table"]) and not (len(found.what) == 2 and found.what[0] == "peers"):
        parser.error(f"unknown: {' '.join(found.what)}; it is peers FOLDER, table, or nothing")
    if found.peers and not python_of(found.peers).is_file():
        parser.error(f"there are no peers in {found.peers}: `python -m benchmarks peers {found.peers}` installs them")
    return found


def measure(name: str, options: argparse.Namespace) -> None:
    """Measures a family in this process, writes its result and prints its row."""
    torch.set_num_threads(options.threads)
    try:
        result = measured(name, options.rounds, options.steps)
    except InputError as error:
        print(f"{FAMILIES[name].title} is left out: {error}", flush=True)
        return
    results.write(name, result, options.results)
    print(results.table({name: result}).splitlines()[-1], flush=True)
    for peer, reason in result["absent"].items():
        print(f"  without {peer}: {reason}", flush=True)


def in_processes(options: argparse.Namespace) -> int:
    """Measures each family in a process of its own, by the peers' interpreter if there is one."""
    python = python_of(options.peers) if options.peers else Path(sys.executable)
    failed = 0
    for name in [options.family] if options.family else FAMILIES:
        command = [str(python), "-m", "benchmarks", "--family", name, "--rounds", str(options.rounds)]
        command += ["--threads", str(options.threads), "--results", str(options.results)]
        command += ["--steps", str(options.steps)] if options.steps else []
        command += ["--peers", str(options.peers)] if options.peers else []
        failed += subprocess.run(command, cwd=ROOT).returncode != 0
    return failed


def main(args: list[str] | None = None) -> None:
    """Measures, or does what else it is told."""
    options = arguments(args)
    if options.what == ["table"]:
        results.put(results.table(results.read(FAMILIES, options.results)))
    elif options.what:
        print("\n".join(install(folder(options.what[1]))) or "All peers are installed.")
    elif options.family and (options.peers is None or runs_in(options.peers)):
        measure(options.family, options)
    elif failed := in_processes(options):
        sys.exit(f"{failed} could not be measured.")


if __name__ == "__main__":
    run_main(main)
