from tests.unit.pipeline.inference.conftest import checkpoint, trained

__all__ = ["checkpoint", "trained"]
