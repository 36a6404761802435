"""Families that only the tests know: what a family needs from the house, in a file and a YAML each."""
