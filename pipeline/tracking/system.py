"""System metrics during training: CPU, memory, disk, network and GPUs."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from pipeline.tracking.logger import RunTracker
from pipeline.tracking.run import SYSTEM_PREFIX
from pipeline.tracking.store import tracking_uri

_PATIENCE = 10.0  # seconds that the end waits for a measurement, e.g. of a GPU that hangs


@contextlib.contextmanager
def system_metrics(tracker: RunTracker, interval: float = 10.0) -> Iterator[None]:
    """Logs `system/*` of this machine every `interval` seconds while the context lasts.

    MLflow's `SystemMetricsMonitor` measures, and the tracker logs, so that an unavailable store
    loses nothing. Steps are seconds since the run was created, so that a resumed run repeats none.
    On ranks other than 0 nothing is logged.
    """
    if not tracker.is_active:
        yield
        return
    stopping = threading.Event()
    thread = threading.Thread(
        target=_measure, args=(tracker, interval, stopping), name="system-metrics", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(_PATIENCE)


def _measure(tracker: RunTracker, interval: float, stopping: threading.Event) -> None:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor: Any = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
        tracker.version, tracking_uri=tracking_uri()
    )
    monitor.collect_metrics()
    while not stopping.wait(interval):
        if tracker.waits:
            continue
        measured = {f"{SYSTEM_PREFIX}{k}": v for k, v in monitor.aggregate_metrics().items()}
        tracker.log_metrics(measured, int(tracker.age))
        for part in monitor.monitors:
            part.clear_metrics()
        monitor.collect_metrics()
