"""Points of laws in two dimensions."""
