"""Tables with a target column."""
