"""Strings to strings in the tests over all families."""

from support.case import Case

seq2seq = Case(shorter={"num_samples": 800, "num_longer": 40})
