"""Training with weights, gradients and the optimiser's means in pieces on several devices."""

from typing import Any

from lightning.fabric.strategies.fsdp import _move_torchmetrics_to_device, _setup_activation_checkpointing
from lightning.pytorch.strategies import FSDPStrategy
from torch import nn
from torch.distributed.fsdp import (
    FullOptimStateDictConfig,
    FullStateDictConfig,
    FullyShardedDataParallel,
    OptimStateKeyType,
    StateDictType,
)
from torch.optim import Optimizer


class ShardedStrategy(FSDPStrategy):
    """Lightning's FSDP (arXiv:2304.11277), also on CPUs, and for a test that follows a fit.

    Lightning wraps a model once more for the test; what is outside of its layers, such as embeddings, would then stay
    in pieces.

    Args:
        settings: What :class:`lightning.pytorch.strategies.FSDPStrategy` takes, such as ``auto_wrap_policy``.
    """

    _root: FullyShardedDataParallel | None = None

    def _setup_model(self, model: nn.Module) -> nn.Module:
        if self._root is None or self._root.module is not model:
            settings: dict[str, Any] = {"cpu_offload": self.cpu_offload, "mixed_precision": self.mixed_precision_config}
            self._root = FullyShardedDataParallel(
                model, sharding_strategy=self.sharding_strategy, device_id=self.root_device, **settings, **self.kwargs
            )
            _setup_activation_checkpointing(self._root, self._activation_checkpointing_kwargs)
        _move_torchmetrics_to_device(self._root, self.root_device)
        return self._root

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The state of an optimiser, gathered on the first process.

        PyTorch gathers one kind of means after the other in the same memory and relies on the way to the CPU for a copy
        (torch 2.15): on CPUs all kinds would be the last one, unless it is told to make one.
        """
        if self.root_device.type != "cpu" or self._state_dict_type != "full" or self._root is None:
            return super().optimizer_state(optimizer)
        root, plain = self._root, getattr(optimizer, "_optimizer", optimizer)  # Lightning wraps it
        copied = FullStateDictConfig(rank0_only=True), FullOptimStateDictConfig(offload_to_cpu=False, rank0_only=True)
        with root.state_dict_type(root, StateDictType.FULL_STATE_DICT, *copied):
            state = root.optim_state_dict(root, plain)
        return root.rekey_optim_state_dict(state, OptimStateKeyType.PARAM_ID, root) if self.global_rank == 0 else state
