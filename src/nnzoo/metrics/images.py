"""Metrics of reconstructed images."""

from collections.abc import Sequence
from typing import Any

from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchmetrics.regression import MeanSquaredError


def image_metrics(in_shape: Sequence[int]) -> MetricCollection:
    """MSE, PSNR (dB, of the mean squared error over all images) and SSIM of reconstructions in [0, 1].

    SSIM (Wang et al. 2004) is torchmetrics': an 11x11 Gaussian window around every pixel, the image mirrored at its
    borders. Mirroring needs more than five pixels a side; smaller images get a uniform 3x3 window.
    """
    side = min(in_shape[1:])
    window: dict[str, Any] = {} if side > 5 else {"gaussian_kernel": False, "kernel_size": 3 if side > 1 else 1}
    return MetricCollection(
        {
            "mse": MeanSquaredError(),
            "psnr": PeakSignalNoiseRatio(data_range=1.0),
            "ssim": StructuralSimilarityIndexMeasure(data_range=1.0, **window),
        }
    )
