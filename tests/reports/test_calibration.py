import numpy as np
import pytest

from pipeline.reports import apply_platt, expected_calibration_error, fit_platt


def drawn(slope, shift, count=40_000):
    """Probabilities that a model says, and what comes true of logits slope * x + shift."""
    random = np.random.default_rng(1)
    logits = random.normal(0.5, 1.5, count)
    said = 1 / (1 + np.exp(-logits))
    true = 1 / (1 + np.exp(-(slope * logits + shift)))
    return np.log(said).tolist(), (random.random(count) < true).tolist()


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.4, -0.5), (2.5, 1.0)])
def test_what_distorts_is_found(slope, shift):
    log_probs, is_right = drawn(slope, shift)
    assert fit_platt(log_probs, is_right) == pytest.approx((slope, shift), abs=0.06)


def test_calibration_helps():
    log_probs, is_right = drawn(0.4, -0.5)
    before = expected_calibration_error(np.exp(log_probs).tolist(), is_right)
    after = expected_calibration_error(
        apply_platt(log_probs, fit_platt(log_probs, is_right)), is_right
    )
    assert before > 0.15
    assert after < 0.01


def test_order_is_kept_and_probabilities_stay_within_0_and_1():
    log_probs, is_right = drawn(0.4, -0.5, 500)
    calibrated = apply_platt([-1e9, -3.0, -0.1, 0.0], fit_platt(log_probs, is_right))
    assert calibrated == sorted(calibrated)
    assert 0 <= calibrated[0] < calibrated[-1] <= 1


def test_too_little_to_learn_from_changes_nothing():
    assert fit_platt([], []) == (1.0, 0.0)
    assert fit_platt([-0.1] * 100, [True] * 95 + [False] * 5) == (1.0, 0.0)
    assert apply_platt([], (2.0, 1.0)) == []


def test_separable_outcomes_have_a_finite_slope():
    slope, shift = fit_platt([-4.0] * 30 + [-0.01] * 30, [False] * 30 + [True] * 30)
    assert np.isfinite([slope, shift]).all()


def test_the_error_by_hand():
    # bin 0.2-0.3: said 0.25, right 1/2; bin 0.9-1: said 0.95, right 1
    error = expected_calibration_error([0.2, 0.3 - 1e-9, 0.95, 0.95], [True, False, True, True])
    assert error == pytest.approx(0.5 * 0.25 + 0.5 * 0.05)
