"""Sequences with a target each, or one per step."""
