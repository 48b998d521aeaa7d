"""Cells of the table of runs."""

import datetime
import math


def number(value: float | None) -> str:
    """Writes a score as short as it can be read; "-" for none."""
    if value is None:
        return "-"
    if math.isnan(value):
        return "nan"
    if abs(value) >= 1e300:  # infinity, as MLflow stores it
        return "inf"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Writes h:mm:ss, or m:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plain(value: object) -> object:
    """Gives what JSON has a word for; a number that is not finite is None."""
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, float) and (math.isnan(value) or abs(value) >= 1e300):
        return None
    return value
