"""Speed of diffusion on a CPU beside denoising-diffusion-pytorch and diffusers: training, and sampling with DDIM.

    pip install diffusers denoising-diffusion-pytorch
    python benchmarks/diffusion_speed.py

Networks of 2.6 to 2.9 million parameters for 32x32 RGB images, attention at 16x16 and in the middle where the package
has a choice, each trained by its own package's loss with the same AdamW on the same batches; samples with 50 steps of
DDIM. They take turns, round after round; times are those of the processor, so that other programs do not count, and
what counts is the median of the rounds' ratios. Ours and diffusers' networks have one layout and as many parameters.

On a core of an AMD EPYC with AVX-512 (``OMP_NUM_THREADS=1``, ``--rounds 3 --batches 1``, PyTorch 2.15):

                 parameters  training images/s  ratio  samples/s  ratio
    nnzoo         2,840,115               16.8   1.00       0.86   1.00
    diffusers     2,840,115               15.9   1.07       0.84   1.04
    lucidrains    3,047,259               15.8   1.07       0.94   0.92

Convolutions, of the same library, are two thirds to three quarters of the time; what ours saves is the upsampling,
folded into its convolution. Channels last speeds up convolutions of 36 channels, but slows down group norm, and with it
networks of 24 or 32 channels.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from nnzoo.nets.diffusion import Diffusion
from nnzoo.nets.samplers import denoised
from nnzoo.nets.unet import UNet

SHAPE, STEPS, SAMPLES = (3, 32, 32), 50, 8


class Peer:
    """A package's network, its loss of a batch, and its sampler."""

    def __init__(self, net: nn.Module, loss: Callable[[Tensor], Tensor], sample: Callable[[], Tensor]) -> None:
        self.net, self.loss, self.sample = net, loss, sample
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)

    def train(self, batches: Tensor) -> float:
        """Images per second over some batches (N, B, C, H, W) in [0, 1]."""
        self.net.train()
        start = time.process_time()
        for images in batches:
            self.optimizer.zero_grad()
            self.loss(images).backward()
            self.optimizer.step()
        return batches.shape[0] * batches.shape[1] / (time.process_time() - start)

    def draw(self) -> float:
        """Samples per second."""
        self.net.eval()
        start = time.process_time()
        with torch.no_grad():
            assert self.sample().shape == (SAMPLES, *SHAPE)
        return SAMPLES / (time.process_time() - start)


def nnzoo() -> Peer:
    """Ours."""
    net, diffusion = UNet(SHAPE, channels=36, attention=[16]), Diffusion()

    def loss(images: Tensor) -> Tensor:
        data, times, noise = 2 * images - 1, diffusion.draw_times(len(images)), torch.randn_like(images)
        return diffusion.losses(net(diffusion.noised(data, times, noise), times.float()), data, times, noise).mean()

    def sample() -> Tensor:
        start = torch.randn(SAMPLES, *SHAPE)
        *_, last = denoised(diffusion, lambda noised, times: net(noised, times.float()), start, "ddim", STEPS)
        return last.noised

    return Peer(net, loss, sample)


def diffusers() -> Peer:
    """Hugging Face's, with the layout of its model for CIFAR-10."""
    from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel

    down = ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D")
    up = ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    widths = (36, 72, 72, 72)
    net = UNet2DModel(32, 3, 3, block_out_channels=widths, down_block_types=down, up_block_types=up, layers_per_block=2,
                      norm_num_groups=9, attention_head_dim=None)  # fmt: skip
    scheduler = DDPMScheduler()
    pipeline = DDIMPipeline(net, DDIMScheduler())
    pipeline.set_progress_bar_config(disable=True)

    def loss(images: Tensor) -> Tensor:
        data, noise = 2 * images - 1, torch.randn_like(images)
        times = torch.randint(1000, (len(images),))
        return nn.functional.mse_loss(net(scheduler.add_noise(data, noise, times), times).sample, noise)

    def sample() -> Tensor:
        images = pipeline(batch_size=SAMPLES, num_inference_steps=STEPS, output_type="np").images
        return torch.from_numpy(images).permute(0, 3, 1, 2)

    return Peer(net, loss, sample)


def lucidrains() -> Peer:
    """denoising-diffusion-pytorch, with its defaults but for the width."""
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    net = Unet(18, dim_mults=(1, 2, 4, 8), flash_attn=False)
    diffusion = GaussianDiffusion(net, image_size=32, sampling_timesteps=STEPS)
    return Peer(net, diffusion, lambda: diffusion.sample(batch_size=SAMPLES))


def main() -> None:
    """Prints a table of both speeds and of their ratios to ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which all take turns")
    parser.add_argument("--batches", type=int, default=4, help="training batches of a round")
    parser.add_argument("--batch_size", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(0)
    peers = {build.__name__: build() for build in (nnzoo, diffusers, lucidrains)}
    batches = torch.rand(args.batches, args.batch_size, *SHAPE)
    speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    for number in range(args.rounds + 1):
        for name, peer in peers.items():
            speed = peer.train(batches), peer.draw()
            if number:  # the first warms up
                speeds[name].append(speed)
    print(f"{'':12} {'parameters':>12} {'training images/s':>18} {'ratio':>6} {'samples/s':>10} {'ratio':>6}")
    for name, peer in peers.items():
        size = sum(parameter.numel() for parameter in peer.net.parameters())
        own = [median(speed[kind] for speed in speeds[name]) for kind in (0, 1)]
        ratios = [median(ours[kind] / theirs[kind] for ours, theirs in zip(speeds["nnzoo"], speeds[name], strict=True))
                  for kind in (0, 1)]  # fmt: skip
        print(f"{name:12} {size:12,} {own[0]:18.1f} {ratios[0]:6.2f} {own[1]:10.2f} {ratios[1]:6.2f}")


if __name__ == "__main__":
    main()
