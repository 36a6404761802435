"""Measurements of nnzoo beside what else there is; ``python -m benchmarks`` times the training of every family."""
