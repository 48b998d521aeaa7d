"""LightningModules: one file a family of tasks; parts come in built."""
