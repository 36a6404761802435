"""pythae, for autoencoders of images; it is given the batches ready made."""

import tempfile
from typing import Any

import torch

from benchmarks.loops import Passes, Setting
from benchmarks.measuring import Stopwatch


def pythae(setting: Setting) -> float:
    """Its trainer and its loss with our networks and the fused optimiser.

    It has less to do: its schedules go by epochs, so that there is none here, and its autoencoder draws no noise.
    """
    from pythae import data, models, trainers
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    module, variational = setting.fresh(), "likelihood" in setting.hparams
    watch = Stopwatch(setting.steps)

    class Encoder(BaseEncoder):
        def forward(self, x: torch.Tensor) -> ModelOutput:
            codes = self.net(x)
            if not variational:
                return ModelOutput(embedding=codes)
            mean, log_var = codes.chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=torch.sigmoid(self.net(z)))

    class Trainer(trainers.BaseTrainer):
        def get_train_dataloader(self, *args: Any) -> Passes:
            return Passes(setting, lambda images: {"data": images})

        def train_step(self, epoch: int) -> float:  # an epoch, in spite of its name
            watch.start()
            loss = super().train_step(epoch)
            watch.stop()
            return loss

    encoder, decoder = Encoder(), Decoder()
    encoder.net, decoder.net = module.encoder, module.decoder
    hparams = setting.hparams
    sizes: dict[str, Any] = {"input_dim": tuple(hparams["in_shape"]), "latent_dim": hparams["latent_dim"]}
    if variational:
        model = models.VAE(models.VAEConfig(**sizes, reconstruction_loss="bce"), encoder, decoder)
    else:
        model = models.AE(models.AEConfig(**sizes), encoder, decoder)
    optimizer = {"optimizer_cls": "AdamW", "optimizer_params": {"weight_decay": 0.0, "fused": True}}
    with tempfile.TemporaryDirectory() as folder:
        settings = trainers.BaseTrainerConfig(
            folder, setting.batch_size, num_epochs=len(setting.epochs), learning_rate=hparams["lr"], no_cuda=True,
            **optimizer,
        )  # fmt: skip
        few = data.BaseDataset(setting.epochs[0][0], torch.zeros(len(setting.epochs[0][0])))
        Trainer(model, few, training_config=settings).train()
    return watch.seconds


PYTHAE = {"pythae": pythae}
