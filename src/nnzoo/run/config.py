"""The configuration of a run, as a file that repeats it."""

from pathlib import Path

import lightning as L
from lightning.pytorch.cli import SaveConfigCallback

from nnzoo.files import replacing


class SaveRunConfig(SaveConfigCallback):
    """Writes the complete configuration to ``config.yaml`` of the run folder, whole or not at all."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Writes the file; the checkpoint of a resumed run is left out, so that the config can start a new run."""
        config = self.config.clone()
        config.ckpt_path = None
        with replacing(Path(trainer.default_root_dir) / "config.yaml") as temporary:
            temporary.write_text(self.parser.dump(config, skip_none=False), encoding="utf-8")
