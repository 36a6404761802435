"""Pairs of strings."""
