"""Runs: building experiments from configurations, training, evaluating, cross-validation."""
