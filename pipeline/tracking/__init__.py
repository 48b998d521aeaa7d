"""MLflow tracking: one run per training. No other package imports mlflow.

This file imports nothing, since imports are slow: `naming` and `provenance` need no library,
`store`, `lookup` and `table` import MLflow when they are called, and `logger` needs Lightning.
"""
