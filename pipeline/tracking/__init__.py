"""One MLflow run per training, and the only place that knows MLflow.

Nothing is imported here: `pipeline.tracking.naming` and `pipeline.tracking.provenance` are cheap,
`pipeline.tracking.table` and `pipeline.tracking.store` import MLflow when they are called, and
`pipeline.tracking.logger` needs Lightning.
"""
