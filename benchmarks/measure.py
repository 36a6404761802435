"""The measurement of a family: recipe, loop by hand and peers, taking turns."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.families import FAMILIES
from benchmarks.fits import fit
from benchmarks.loops import Setting, loop_time, setting_of
from benchmarks.measuring import Contender, compared, interleaved, quiet
from benchmarks.results import BARE, OWN, machine

EPOCHS = 3


def measured(name: str, rounds: int, steps: int | None = None, epochs: int = EPOCHS) -> dict[str, Any]:
    """What is recorded of a family.

    Args:
        name: Of :data:`FAMILIES`.
        rounds: In which all take turns.
        steps: Training steps of an epoch; the family's unless given, and at most as many as there are batches.
        epochs: Epochs of a round, of which the first warms up.
    """
    family = FAMILIES[name]
    with tempfile.TemporaryDirectory() as folder, quiet():
        flags = family.flags_in(Path(folder))
        first = fit(family.config, steps or family.steps, 1, flags=flags)
        setting = setting_of(first, steps or family.steps, epochs, family.prepare)
        steps = setting.steps
        contenders: dict[str, Contender] = {
            BARE: lambda: loop_time(family.step(setting), setting),
            OWN: lambda: fit(family.config, steps, epochs, flags).watch.seconds,
        }
        peers, absent = {}, {}
        for peer, run in family.peers.items():
            if reason := trial(run, setting):
                absent[peer] = reason
            else:
                peers[peer] = lambda run=run: run(setting)
        seconds = interleaved({**contenders, **peers}, rounds)
    return {
        "family": name, "title": family.title, "config": family.config, "flags": list(family.flags),
        "batch_size": setting.batch_size, "steps": steps, "epochs": epochs - 1, "rounds": rounds,
        "parameters": sum(parameter.numel() for parameter in setting.module.parameters()),
        "clock": "processor time of the process", **machine(),
        "contenders": compared(seconds, BARE), "absent": absent,
    }  # fmt: skip


def trial(run: Callable[[Setting], float], setting: Setting) -> str:
    """Why a peer cannot take part, in a sentence; empty if it can. A peer may fail in any way."""
    try:
        run(setting)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed: `python -m benchmarks peers FOLDER` installs the peers."
    except Exception as error:
        return f"It does not run here ({type(error).__name__}: {' '.join(str(error).split())[:200]})."
    return ""
