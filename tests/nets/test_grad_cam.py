import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnzoo.nets.cnn import PlainCNN
from nnzoo.nets.grad_cam import grad_cam

KERNELS = torch.tensor([[[[1.0]]], [[[2.0]]], [[[-1.0]]]])
WEIGHTS = torch.tensor([[0.5, -0.25, 1.0], [-1.0, 0.75, 0.0]])


class Linear(nn.Module):
    """Three 1x1 kernels without nonlinearity, the mean over all positions, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 1, bias=False)
        self.conv.weight.data = KERNELS.clone()
        self.linear = nn.Parameter(WEIGHTS.clone())

    def forward(self, images):
        return self.conv(images).mean(dim=(2, 3)) @ self.linear.T


def test_the_heat_of_a_linear_net_is_what_a_calculation_by_hand_gives():
    """With the mean as pooling, a_f = w_cf / (h w); here A_f = k_f x, so the heat is relu(x sum_f k_f w_cf / (h w))."""
    net, images = Linear(), torch.tensor([[[[1.0, -2.0], [3.0, 0.0]]], [[[4.0, 1.0], [0.0, -1.0]]]])
    heat = grad_cam(net, net.conv, images, torch.tensor([0, 1]))
    # Class 0: 0.5 - 0.5 - 1 = -1; class 1: -1 + 1.5 = 0.5; four positions.
    expected = torch.stack([(-images[0, 0] / 4).clamp(min=0), (0.5 * images[1, 0] / 4).clamp(min=0)])
    torch.testing.assert_close(heat, expected)
    assert heat[0].tolist() == [[0.0, 0.5], [0.0, 0.0]]


def test_the_weight_of_a_map_is_the_mean_of_its_gradient_over_all_positions():
    class Placed(Linear):
        """Each position has a weight of its own."""

        places = torch.tensor([[4.0, 0.0], [-1.0, 1.0]])

        def forward(self, images):
            return (self.conv(images) * self.places).sum(dim=(2, 3)) @ self.linear.T

    net, images = Placed(), torch.tensor([[[[1.0, 2.0], [3.0, 0.5]]]])
    heat = grad_cam(net, net.conv, images, torch.tensor([1]))
    # Class 1: sum_f k_f w_cf = 0.5, and the places have the mean 1.
    torch.testing.assert_close(heat[0], 0.5 * images[0, 0])


def test_the_heat_is_of_the_logit_and_not_of_the_probability():
    net, images = Linear(), torch.rand(2, 1, 3, 3)
    classes = torch.tensor([1, 1])
    heat = grad_cam(net, net.conv, images, classes)
    net.linear.data += 3  # the same for both classes: probabilities stay
    assert not torch.allclose(grad_cam(net, net.conv, images, classes), heat)


def test_small_maps_are_enlarged_bilinearly():
    class Pooled(Linear):
        def forward(self, images):
            return super().forward(F.avg_pool2d(images, 2))

    net, images = Pooled(), torch.rand(3, 1, 6, 4)
    heat = grad_cam(net, net.conv, images, torch.ones(3, dtype=torch.int64))
    small = 0.5 * F.avg_pool2d(images, 2) / 6
    expected = F.interpolate(small, size=(6, 4), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(heat, expected)


@pytest.mark.parametrize("switched_off", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("frozen", [False, True])
def test_it_works_where_gradients_are_off_and_leaves_none_behind(switched_off, frozen):
    net = PlainCNN((1, 8, 8), 10).eval().requires_grad_(not frozen)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    expected = grad_cam(net, net.cam_layer, torch.full((2, 1, 8, 8), 0.5), torch.tensor([3, 4]))
    with switched_off():
        images, classes = torch.full((2, 1, 8, 8), 0.5), torch.tensor([3, 4])
        heat = grad_cam(net, net.cam_layer, images, classes)
        enabled = torch.is_grad_enabled()
    assert enabled == (switched_off is torch.enable_grad)
    torch.testing.assert_close(heat, expected)
    assert heat.shape == (2, 8, 8)
    assert heat.min() >= 0
    assert heat.max() > 0
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not images.requires_grad
    assert not net.cam_layer._forward_hooks
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)


def test_an_image_does_not_feel_the_others_of_its_batch():
    net, images, classes = PlainCNN((3, 8, 8), 10).eval(), torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    whole = grad_cam(net, net.cam_layer, images, classes)
    torch.testing.assert_close(whole[2:3], grad_cam(net, net.cam_layer, images[2:3], classes[2:3]))


def test_a_failing_network_keeps_no_hook():
    net = PlainCNN((1, 8, 8), 10)
    with pytest.raises(RuntimeError):
        grad_cam(net, net.cam_layer, torch.rand(1, 2, 8, 8), torch.tensor([0]))
    assert not net.cam_layer._forward_hooks
