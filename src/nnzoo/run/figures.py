"""Pictures of a run: learning curves, samples, reconstructions, latent space, in the folder and in every logger."""

import csv
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.files import replacing
from nnzoo.plots.curves import learning_curves
from nnzoo.plots.images import image_grid, image_rows
from nnzoo.plots.latent import latent_space

MAX_CODES = 2000


class Figures(Callback):
    """Draws what the module can show, through its public methods, into ``figures/*.png`` of the run folder.

    ``sample`` gives samples.png, ``reconstruct`` reconstructions.png, ``encode`` latent_space.png, ``interpolate``
    interpolation.png, and ``sample`` with two latent dimensions also manifold.png; learning_curves.png comes from
    metrics.csv; ``figures(batch, classes)`` returns whatever else a family shows, by name. Loggers that take pictures
    (W&B, TensorBoard) get the same ones. They are drawn at the end of fitting and, from the tested checkpoint, at the
    end of testing.

    Args:
        every_n_epochs: Draw during training too, at the end of every so many epochs; 0 for never.
        num_images: Images in a row of reconstructions, and rows and columns of a sample grid.
    """

    def __init__(self, every_n_epochs: int = 0, num_images: int = 10) -> None:
        self.every_n_epochs = every_n_epochs
        self.num_images = num_images

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws every n epochs."""
        due = self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if due and not trainer.sanity_checking:
            self._draw(trainer, pl_module, trainer.val_dataloaders)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws the learning curves, and the rest from the last weights."""
        curves = read_curves(trainer) if trainer.is_global_zero else {}
        if curves:
            self._save(trainer, "learning_curves", learning_curves(curves))
        self._draw(trainer, pl_module, trainer.val_dataloaders)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws from the tested weights and test samples."""
        self._draw(trainer, pl_module, trainer.test_dataloaders)

    @torch.no_grad()
    def _draw(self, trainer: L.Trainer, pl_module: L.LightningModule, loader: Any) -> None:
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False) or loader is None:
            return
        was_training = pl_module.training
        pl_module.eval()
        try:
            for name, figure in self._figures(trainer, pl_module, loader).items():
                self._save(trainer, name, figure)
        except Exception as error:  # a picture is not worth a finished run
            rank_zero_warn(f"Some pictures could not be drawn ({type(error).__name__}: {error}).")
        finally:
            pl_module.train(was_training)

    def _figures(self, trainer: L.Trainer, module: Any, loader: Any) -> dict[str, Figure]:
        figures: dict[str, Figure] = {}
        samples = tuple(tensor.to(module.device) for tensor in first_samples(loader, MAX_CODES))
        classes = list(getattr(trainer.datamodule, "classes", []))  # type: ignore[attr-defined]
        if hasattr(module, "figures"):
            figures |= module.figures(samples, classes)
        if not any(hasattr(module, method) for method in ("sample", "reconstruct", "encode", "interpolate")):
            return figures
        images, labels = samples[0].to(module.dtype), samples[-1]
        condition = (labels,) if getattr(module, "num_conditions", 0) else ()
        # From all over the set: a folder's images come class by class.
        few = torch.linspace(0, len(images) - 1, min(self.num_images, len(images)), device=module.device).long()
        few_condition = tuple(tensor[few] for tensor in condition)
        generator = torch.Generator(module.device).manual_seed(0)
        if hasattr(module, "sample"):
            figures["samples"] = self._samples(module, generator, bool(condition), classes)
            if module.hparams.get("latent_dim") == 2 and not condition:
                figures["manifold"] = image_grid(manifold(module), "decoded latent space", 20)
        if hasattr(module, "reconstruct"):
            rows = {"original": images[few]}
            inputs = images[few]
            if hasattr(module, "corrupt_for_evaluation") and module.hparams["noise"] != "none":
                inputs = rows["input"] = module.corrupt_for_evaluation(inputs, batch_idx=0)
            rows["reconstruction"] = module.reconstruct(inputs, *few_condition)
            figures["reconstructions"] = image_rows(rows, "reconstructions")
        if hasattr(module, "encode") and len(images) > 2:
            codes = module.encode(images, *condition)
            figures["latent_space"] = latent_space(codes, labels, classes, "codes of held-out images")
        if hasattr(module, "interpolate") and len(images) >= 8:
            first, second = torch.linspace(0, len(images) - 1, 8, device=module.device).long().view(4, 2).T
            ends = images[first], images[second]
            between = module.interpolate(*ends, self.num_images, *(tensor[first] for tensor in condition))
            grid = torch.cat([ends[0][:, None], between, ends[1][:, None]], dim=1).flatten(0, 1)
            title = "original | decoded, from its code to that of the other | original"
            figures["interpolation"] = image_grid(grid, title, self.num_images + 2)
        return figures

    def _samples(self, module: Any, generator: torch.Generator, conditional: bool, classes: list[str]) -> Figure:
        if not conditional:
            return image_grid(module.sample(self.num_images**2, generator=generator), "samples", self.num_images)
        shown = torch.arange(min(len(classes), 20), device=module.device)
        images = module.sample(
            len(shown) * self.num_images, shown.repeat_interleave(self.num_images), generator=generator
        )
        rows = images.unflatten(0, (len(shown), self.num_images))
        return image_rows({classes[i][:16]: row for i, row in enumerate(rows)}, "samples of each class")

    def _save(self, trainer: L.Trainer, name: str, figure: Figure) -> None:
        path = Path(trainer.default_root_dir) / "figures" / f"{name}.png"
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):  # W&B and loggers with its interface
                logger.log_image(f"figures/{name}", [str(path)])
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"figures/{name}", figure, trainer.global_step)


def first_samples(loader: Any, count: int) -> tuple[Tensor, ...]:
    """The first ``count`` samples of a loader, as far as their batches have one shape."""
    batches: list[tuple[Tensor, ...]] = []
    for batch in loader:
        if batches and any(new.shape[1:] != old.shape[1:] for new, old in zip(batch, batches[0], strict=True)):
            break
        batches.append(batch)
        if sum(len(batch[-1]) for batch in batches) >= count:
            break
    return tuple(torch.cat(tensors)[:count] for tensors in zip(*batches, strict=True))


def manifold(module: Any, side: int = 20) -> Tensor:
    """Decoded images of a grid over the 2-d prior, evenly spaced in probability (inverse Gaussian CDF)."""
    steps = torch.special.ndtri(torch.linspace(0.02, 0.98, side)).to(module.device, module.dtype)
    vertical, horizontal = torch.meshgrid(steps.flip(0), steps, indexing="ij")
    return module.decode(torch.stack([horizontal.flatten(), vertical.flatten()], dim=1))


def read_curves(trainer: L.Trainer) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """Quantity to stage to (epochs, values) of the run so far, from metrics.csv."""
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    logger = next((logger for logger in trainer.loggers if isinstance(logger, CSVLogger)), None)
    if logger is None:
        return curves
    logger.save()
    path = Path(logger.log_dir) / "metrics.csv"
    if not path.is_file():
        return curves
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                stage, _, quantity = name.partition("/")
                if stage in ("train", "val") and value:
                    epochs, values = curves.setdefault(quantity, {}).setdefault(stage, ([], []))
                    epochs.append(int(row["epoch"]) + 1)
                    values.append(float(value))
    return curves
