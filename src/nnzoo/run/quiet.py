"""What a run leaves unsaid: warnings that say nothing to a user of a recipe, and advertisements."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Lightning's setting, under which PyTorch would look for a GPU again at every step of an optimiser."""

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # data in memory are fetched fastest without
    ".*args parameter is intended to run from within Python.*",  # the arguments have been put in order
    ".*exists and is not empty.*",  # config.yaml is in the run folder before the first checkpoint
    ".*configure_optimizers. will be overridden.*",  # that is what --optimizer asks for
    ".*smaller than the logging interval.*",  # means are logged once per epoch
    r".*module\(s\) in eval mode at the start of training.*",  # what is frozen, which a module does itself
    ".*dataloader is not resumable.*",  # ours starts at the step where the run stopped
    ".*LeafSpec.*is deprecated.*",
    ".*Sparse CSR tensor support is in beta state.*",  # what is used of it has tests here
    ".*dirpath has changed from.*",  # a test writes into a folder of its own
    r".*self\.log\('baseline/.*, sync_dist=True.*",  # baselines run on process 0 alone
    ".*custom batch sampler `GlobalBatchSampler` for prediction.*",  # ours returns every sample
)

EXPECTED_LINES = (
    "Tip: For seamless",
    "GPU available: False",
    "TPU available: False",
    "HPU available: False",
    "Loading `train_dataloader` to estimate",
    "`Trainer.fit` stopped",
    "Restoring states from the checkpoint",
    "Restored all states from the checkpoint",
    "Loaded model weights from the checkpoint",
    "`Trainer(limit_",
)
"""How Lightning's lines begin that say nothing new to somebody who has typed the command."""


@contextmanager
def quiet() -> Iterator[None]:
    """Leaves them out while it lasts, and changes nothing for the rest of the process, such as a notebook."""
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        log.addFilter(_is_news)
        before = os.environ.get(NVML)
        if not torch.cuda.is_available():
            os.environ[NVML] = "0"
        try:
            yield
        finally:
            log.removeFilter(_is_news)
            os.environ.pop(NVML, None)
            if before is not None:
                os.environ[NVML] = before


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().lstrip("💡 \n").startswith(EXPECTED_LINES)
