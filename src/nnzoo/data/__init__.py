"""LightningDataModules and the one loader policy they share."""
