"""Where in an image a convolutional network sees a class."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def grad_cam(logits: Callable[[Tensor], Tensor], layer: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM heat maps: Selvaraju et al. 2016 (arXiv:1610.02391), equations 1 and 2.

    relu(sum_f a_f A_f), a_f the mean over all positions of d logit_c / d A_f, enlarged to the image bilinearly; A_f are
    the feature maps that ``layer`` returns. The network should be in evaluation mode, or the images of a batch would
    depend on each other. Works where gradients are switched off, and leaves none behind.

    Args:
        logits: From images (B, C, H, W) to scores (B, K) before the softmax.
        layer: The last convolutional layer, returning (B, F, h, w) while ``logits`` runs.
        images: (B, C, H, W).
        classes: Whose logit is explained: (B,).

    Returns:
        (B, H, W), at least 0, not scaled to 0 .. 1.
    """
    maps: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    try:
        # Tensors of inference mode cannot take part in gradients: a copy made outside of it can.
        with torch.inference_mode(False), torch.enable_grad():
            scores = logits(images.detach().clone().requires_grad_())  # so that frozen networks have gradients too
            chosen = scores.gather(1, classes.clone()[:, None]).sum()
            (gradients,) = torch.autograd.grad(chosen, maps[-1])
    finally:
        handle.remove()
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    heat = F.relu((weights * maps[-1].detach()).sum(dim=1, keepdim=True))
    return F.interpolate(heat, size=images.shape[2:], mode="bilinear", align_corners=False).squeeze(1)
