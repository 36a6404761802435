"""Callbacks that a user adds by name."""
