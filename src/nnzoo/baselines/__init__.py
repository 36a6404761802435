"""Classical models on the same samples, so that a run's own table shows what its network is worth."""
