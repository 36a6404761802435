"""What only a GPU can show: tensors beside generators and data of another device, half precision, its memory."""

import json

import pytest
import torch

from support.found import CASES, case, recipe, run
from support.runs import SMOKE, run_folder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("ignore:.*"),
]


def flags(name, accelerator):
    """A run of seconds with pictures; the same noise on both devices."""
    particular = [*case(name).shorter_flags, *case(name).quicker_flags, *case(name).noiseless]
    return [*SMOKE[:2], "--trainer.accelerator", accelerator, *SMOKE[4:], "--trainer.devices", "1", *particular]


@pytest.mark.parametrize("name", CASES)
def test_a_run_on_a_gpu_has_the_numbers_of_a_run_on_the_cpu(name, in_tmp, recwarn):
    metrics = {accelerator: run(name, flags(name, accelerator)) for accelerator in ("cpu", "gpu")}
    assert metrics["gpu"].keys() == metrics["cpu"].keys()
    assert metrics["gpu"]["test/loss"] == pytest.approx(metrics["cpu"]["test/loss"], rel=0.05)
    assert not [str(warning.message) for warning in recwarn if "could not be" in str(warning.message)]


@pytest.mark.parametrize("name", CASES)
def test_every_subcommand_works_on_a_gpu_and_the_record_names_it(name, in_tmp):
    run(name, flags(name, "gpu"))
    folder = run_folder(in_tmp)
    record = json.loads((folder / "result.json").read_text())
    assert record["devices"] == f"1 x {torch.cuda.get_device_name(0)}"
    assert record["peak_memory_mib"] < torch.cuda.get_device_properties(0).total_memory / 2**20
    for subcommand in ("validate", "predict"):
        recipe(name).main([subcommand, "--ckpt_path", str(folder / "best.ckpt"), "--trainer.accelerator", "gpu"])


@pytest.mark.parametrize("name", CASES)
def test_half_precision_stays_near_single_precision(name, in_tmp):
    metrics = [run(name, [*flags(name, "gpu"), "--trainer.precision", p]) for p in ("32-true", "bf16-mixed")]
    assert metrics[1]["test/loss"] == pytest.approx(metrics[0]["test/loss"], rel=0.1)


@pytest.mark.parametrize("name", CASES)
def test_the_same_seed_gives_the_same_bits_where_the_kernels_are_deterministic(name, in_tmp):
    first, second = (run(name, [*flags(name, "gpu"), "--config", "deterministic"]) for _ in range(2))
    assert first == second
