"""Lightning callbacks that observe or change training: logging, checkpoints, progress."""

from pipeline.callbacks.averaging import TriggeredAveraging
from pipeline.callbacks.checkpoints import BestCheckpoint, PeriodicCheckpoint
from pipeline.callbacks.gradient_monitor import GradientMonitor
from pipeline.callbacks.guard import FiniteGuard
from pipeline.callbacks.process_watcher import ProcessWatcher
from pipeline.callbacks.progress import Bar, EpochLines
from pipeline.callbacks.random_state import RandomState
from pipeline.callbacks.run_log import RunLog, RunStart, TestReport
from pipeline.callbacks.samples import SampleLog
from pipeline.callbacks.score_file import ScoreFile
from pipeline.callbacks.termination import Terminated, Termination
from pipeline.callbacks.tf32 import TF32Training
from pipeline.callbacks.token_report import TokenReport

__all__ = [
    "Bar",
    "BestCheckpoint",
    "EpochLines",
    "FiniteGuard",
    "GradientMonitor",
    "PeriodicCheckpoint",
    "ProcessWatcher",
    "RandomState",
    "RunLog",
    "RunStart",
    "SampleLog",
    "ScoreFile",
    "TF32Training",
    "Terminated",
    "Termination",
    "TestReport",
    "TokenReport",
    "TriggeredAveraging",
]
