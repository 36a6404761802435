"""LightningModules: what is trained, by which loss, measured how."""
