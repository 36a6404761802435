"""Flow matching without a network: straight paths from noise to data, their velocity, and what flows along it."""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.nets.diffusion import Denoiser, spread
from nnzoo.nets.noise import Source, normal, uniform
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.samplers import Step, check_steps

Solver = Literal["euler", "heun"]
TimeLaw = Literal["uniform", "logit_normal"]


class FlowMatching(nn.Module):
    """Straight paths x_t = (1 - t) noise + t data, and a network that learns their velocity, data - noise.

    Conditional flow matching (Lipman et al. 2022, arXiv:2210.02747); rectified flow (arXiv:2209.03003) is the same with
    time running the other way. Here t = 0 is noise and t = 1 data. The loss is the squared error of the velocity.

    Args:
        time_law: Of the times to train at: uniform | logit_normal (of a standard normal; Esser et al. 2024,
            arXiv:2403.03206).
    """

    outputs_per_channel = 1

    def __init__(self, time_law: TimeLaw = "uniform") -> None:
        super().__init__()
        self.time_law = time_law
        self.register_buffer("device_of", torch.empty(0), persistent=False)

    def draw_times(self, count: int, source: Source = None) -> Tensor:
        """Times (count,) between 0 and 1."""
        like: Tensor = self.device_of  # type: ignore[assignment]
        if self.time_law == "uniform":
            return uniform((count,), like, source)
        return normal((count,), like, source).sigmoid()

    def network_time(self, times: Tensor) -> Tensor:
        """What the network is told of times (B,): 0 to 1,000."""
        return 1000 * times

    def noised(self, data: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """The point of the path from noise to data at times (B,)."""
        return torch.lerp(noise, data, spread(times, data))

    def target(self, data: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """The path's velocity, the same at all times."""
        return data - noise

    def data_and_noise(self, noised: Tensor, times: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """The ends of the straight path through a point with a velocity."""
        times = spread(times, noised)
        return noised + (1 - times) * velocity, noised - times * velocity

    def losses(self, output: Tensor, data: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Squared error of each sample's velocity (B,), averaged over the data's dimensions."""
        error = at_least_float32(output) - self.target(data, times, noise)
        return error.square().flatten(1).mean(1)

    @torch.no_grad()
    def flow(
        self, denoise: Denoiser, noised: Tensor, solver: Solver = "euler", steps: int = 50, start: float = 0.0
    ) -> Iterator[Step]:
        """Follows the velocity to the data: the last of the states holds them.

        Args:
            denoise: The network, from points (B, ...) and times (B,) to velocities.
            noised: Where to start (B, ...): noise, or data noised at ``start``.
            solver: euler (a network evaluation a step) | heun (two, and an error of second order).
            steps: Steps: even ones of euler; those of heun get shorter towards the data, where the velocity changes
                fastest.
            start: The time of ``noised``.

        Raises:
            InputError: If there is no step, or no time to go.
        """
        check_steps(steps, start)
        power = 2 if solver == "heun" else 1
        for number in range(steps):
            now, after = (1 - (1 - start) * (1 - count / steps) ** power for count in (number, number + 1))
            width = after - now
            times = noised.new_full((len(noised),), now)
            velocity = at_least_float32(denoise(noised, times))
            estimate = self.data_and_noise(noised, times, velocity)[0]
            if solver == "heun":
                ahead = at_least_float32(denoise(noised + width * velocity, times + width))
                velocity = (velocity + ahead) / 2
            noised = noised + width * velocity
            yield Step(now, noised, estimate)

    def log_likelihood(
        self, denoise: Denoiser, data: Tensor, steps: int = 40, exact: bool = False, source: Source = None
    ) -> Tensor:
        """Log-density of data under the flow (B,), in nats: log N(noise) minus the divergence along the path back.

        The instantaneous change of variables (Chen et al. 2018, arXiv:1806.07366), integrated by the classical
        Runge-Kutta method in steps that get longer away from the data: close to narrow data the velocity changes fast,
        and even steps of second order find densities there that no law has.

        Args:
            denoise: The network.
            data: Where the paths end (B, ...).
            steps: Steps, of four network evaluations each.
            exact: The divergence itself, a backward pass for each dimension; else Hutchinson's estimate with one
                direction for each sample, the same at all times.
            source: Of these directions.
        """
        probe = None if exact else normal(data.shape, data, source).sign()
        point, total = data, data.new_zeros(len(data))

        def slope(point: Tensor, time: float) -> tuple[Tensor, Tensor]:
            return with_divergence(denoise, point, data.new_full((len(data),), time), probe)

        for number in range(steps):
            now, after = (1 - (count / steps) ** 2 for count in (number, number + 1))
            width, middle = now - after, (now + after) / 2
            first = slope(point, now)
            second = slope(point - width / 2 * first[0], middle)
            third = slope(point - width / 2 * second[0], middle)
            fourth = slope(point - width * third[0], after)
            velocity, divergence = (
                (a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True)
            )
            point, total = point - width * velocity, total + width * divergence
        dims = data[0].numel()
        return -0.5 * (point.square().flatten(1).sum(1) + dims * math.log(2 * math.pi)) - total


@torch.enable_grad()
def with_divergence(denoise: Denoiser, points: Tensor, times: Tensor, probe: Tensor | None) -> tuple[Tensor, Tensor]:
    """Velocities (B, ...) and their divergences (B,); an estimate of these by a direction if ``probe`` is given."""
    points = points.detach().requires_grad_()
    velocity = at_least_float32(denoise(points, times))
    if probe is not None:
        gradient = torch.autograd.grad(velocity, points, probe)[0]
        return velocity.detach(), (gradient * probe).flatten(1).sum(1)
    flat = velocity.flatten(1).sum(0)  # samples do not mix
    gradients = [torch.autograd.grad(part, points, retain_graph=True)[0].flatten(1) for part in flat]
    return velocity.detach(), torch.stack(gradients, dim=1).diagonal(dim1=1, dim2=2).sum(1)
