import numpy as np
import pytest
from scipy.optimize import minimize

from pipeline.reports import apply_platt, expected_calibration_error, fit_platt


def drawn(slope, shift, count=40_000):
    """Draws log-probabilities of a model, and outcomes with logits slope * x + shift."""
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


@pytest.mark.parametrize("spread", [1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("slope", [0.1, 0.3, 0.7, 1.5])
@pytest.mark.parametrize("count", [200, 3000])
def test_the_fit_is_the_optimum_however_sure_the_model_was(spread, slope, count):
    """Against scipy's minimizer of the same smoothed nll."""
    random = np.random.default_rng(int(10 * spread + 100 * slope))
    logits = random.normal(2, spread, count)
    right = random.random(count) < 1 / (1 + np.exp(-(slope * logits - 1)))
    log_probs = -np.logaddexp(0, -logits)
    seen = np.clip(np.exp(log_probs), 1e-6, 1 - 1e-6)
    seen = np.log(seen) - np.log1p(-seen)
    num_right, num_wrong = right.sum(), (~right).sum()
    targets = np.where(right, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))

    def nll(weights):
        found = weights[0] * seen + weights[1]
        return (np.logaddexp(0, found) - targets * found).sum()

    best = minimize(nll, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    fitted = fit_platt(log_probs, right)
    assert nll(np.array(fitted)) <= best.fun * (1 + 1e-9)
    assert fitted == pytest.approx(tuple(best.x), rel=1e-3, abs=1e-3)
