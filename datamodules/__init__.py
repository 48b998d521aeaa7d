"""LightningDataModules, the readers of corpus formats and the built-in corpora."""
