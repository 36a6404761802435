"""torchmetrics objects beyond torchmetrics' own."""
