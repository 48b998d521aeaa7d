"""What watches training: logs, checkpoints, guards, progress."""

from pipeline.callbacks.guard import FiniteGuard
from pipeline.callbacks.periodic_checkpoint import PeriodicCheckpoint
from pipeline.callbacks.progress import EpochLines
from pipeline.callbacks.random_state import RandomState
from pipeline.callbacks.run_log import RunLog
from pipeline.callbacks.termination import Terminated, Termination

__all__ = [
    "EpochLines",
    "FiniteGuard",
    "PeriodicCheckpoint",
    "RandomState",
    "RunLog",
    "Terminated",
    "Termination",
]
