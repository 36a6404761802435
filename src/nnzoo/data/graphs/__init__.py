"""Graphs: nodes with features, and edges between them."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*torch.jit.*", FutureWarning)  # of torch, for what torch_geometric does
    import torch_geometric  # noqa: F401
