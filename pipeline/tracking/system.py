"""System metrics during training: CPU, memory, disk, network and GPUs."""

import threading
from types import TracebackType
from typing import Any, Self

from pipeline.tracking.logger import RunTracker
from pipeline.tracking.run import SYSTEM_PREFIX
from pipeline.tracking.store import tracking_uri


class SystemMetrics:
    """Logs `system/*` of this machine every `interval` seconds while the context lasts.

    MLflow's `SystemMetricsMonitor` measures, and the tracker logs, so that an unavailable store
    loses nothing. Steps are seconds since the run was created, so that a resumed run repeats none.
    On ranks other than 0 nothing is logged.
    """

    def __init__(self, tracker: RunTracker, interval: float = 10.0) -> None:
        self._tracker = tracker
        self._interval = interval
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts measuring."""
        if self._tracker.is_active and self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="system-metrics", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops measuring."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        """Starts measuring."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops measuring."""
        self.stop()

    def _work(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor: Any = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
            self._tracker.version, tracking_uri=tracking_uri()
        )
        monitor.collect_metrics()
        while not self._stopping.wait(self._interval):
            measured = {f"{SYSTEM_PREFIX}{k}": v for k, v in monitor.aggregate_metrics().items()}
            self._tracker.log_metrics(measured, int(self._tracker.age))
            for part in monitor.monitors:
                part.clear_metrics()
            monitor.collect_metrics()
