"""Plots as matplotlib figures, made without a display; runs save them, notebooks show them."""
