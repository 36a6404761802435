"""The command line, and what every run does."""
