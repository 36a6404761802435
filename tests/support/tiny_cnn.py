"""Settings of a tiny CNN and of a quick fit, and batches for it."""

import torch

TINY = {"in_shape": (1, 8, 8), "channels": [4], "convs_per_stage": 1}
QUICK = {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 1, "limit_test_batches": 1}


def batch(count=6, channels=1, side=8):
    return torch.rand(count, channels, side, side), torch.arange(count) % 10
