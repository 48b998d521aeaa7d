"""LightningDataModules, readers of corpus formats and the built-in corpora; no models."""
