"""Platt calibration of confidences, and the expected calibration error."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_LEAST = 10  # minimum number of right and of wrong predictions for fitting
_STEPS = 200
_MARGIN = 1e-6  # minimum distance of probabilities from 0 and 1

Floats = npt.NDArray[np.float64]


def fit_platt(log_probs: Sequence[float], is_right: Sequence[bool]) -> tuple[float, float]:
    """Fits sigmoid(slope * logit(p) + shift) to the correctness of predictions.

    Platt (1999, "Probabilistic Outputs for Support Vector Machines"), with his smoothed targets,
    which keep the slope finite; by Newton's method with backtracking (Lin, Lin and Weng 2007, "A
    Note on Platt's Probabilistic Outputs").

    Returns slope and shift; (1, 0), which changes nothing, if fewer than ten predictions are right
    or fewer than ten are wrong.

    Example:
        >>> log_probs = [np.log(0.99)] * 40  # too confident: three quarters are right
        >>> fitted = fit_platt(log_probs, [True] * 30 + [False] * 10)
        >>> round(apply_platt(log_probs, fitted)[0], 2)
        0.75
    """
    right = np.asarray(is_right, dtype=bool)
    num_right, num_wrong = int(right.sum()), int((~right).sum())
    if min(num_right, num_wrong) < _LEAST:
        return 1.0, 0.0
    targets = np.where(right, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    slope, shift = _fit(np.stack([_logits(log_probs), np.ones(len(right))]), targets)
    if not slope > 0:  # would reverse the model's order of predictions
        return 1.0, 0.0
    return float(slope), float(shift)


def _fit(features: Floats, targets: Floats) -> Floats:
    weights = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        found = _sigmoid(weights @ features)
        slope = features @ (targets - found)
        if np.abs(slope).max() < 1e-9 * len(targets):
            break
        curve = (features * (found * (1 - found))) @ features.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        # A full Newton step overshoots if the model is far too confident: halve it.
        reached = _nll(weights, features, targets)
        while _nll(weights + step, features, targets) > reached and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights + step
    return weights


def _nll(weights: Floats, features: Floats, targets: Floats) -> float:
    logits = weights @ features
    return float((np.logaddexp(0, logits) - targets * logits).sum())


def apply_platt(log_probs: Sequence[float], fitted: Sequence[float]) -> list[float]:
    """Returns calibrated probabilities, by the slope and shift of `fit_platt`."""
    if not len(log_probs):
        return []
    slope, shift = fitted
    calibrated: list[float] = _sigmoid(slope * _logits(log_probs) + shift).tolist()
    return calibrated


def expected_calibration_error(
    probabilities: Sequence[float], is_right: Sequence[bool], bins: int = 10
) -> float:
    """Computes the mean distance between confidence and accuracy over bins of equal width.

    Guo et al. (2017, arXiv 1706.04599, equation 3). Confidences and error are in [0, 1]; the error
    is 0 without predictions.

    Example:
        >>> round(expected_calibration_error([0.9, 0.9, 0.6, 0.6], [True, True, True, False]), 6)
        0.1
    """
    found = reliability(probabilities, is_right, bins)
    return sum((share * abs(confidence - right) for confidence, right, share in found), 0.0)


def reliability(
    probabilities: Sequence[float], is_right: Sequence[bool], bins: int = 10
) -> list[tuple[float, float, float]]:
    """Returns (mean confidence, accuracy, share of predictions) of each bin that is not empty."""
    values, right = np.asarray(probabilities), np.asarray(is_right, dtype=np.float64)
    places = np.minimum((values * bins).astype(int), bins - 1)
    return [
        (float(values[chosen].mean()), float(right[chosen].mean()), float(chosen.mean()))
        for chosen in (places == index for index in range(bins))
        if chosen.any()
    ]


def _logits(log_probs: Sequence[float]) -> Floats:
    probabilities = np.exp(np.asarray(log_probs, dtype=np.float64)).clip(_MARGIN, 1 - _MARGIN)
    logits: Floats = np.log(probabilities) - np.log1p(-probabilities)
    return logits


def _sigmoid(values: Floats) -> Floats:
    result: Floats = 0.5 * (1 + np.tanh(values / 2))
    return result
