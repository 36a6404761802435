"""Time series, cut into windows."""
