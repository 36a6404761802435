"""Batches of images as the modules take them."""

import torch
from torch.utils.data import DataLoader

STEPS = ["training_step", "validation_step", "test_step"]


def batch_of(images):
    return images, torch.zeros(len(images), dtype=torch.long)


def loader(*batches):
    return DataLoader([batch_of(images) for images in batches], batch_size=None)
