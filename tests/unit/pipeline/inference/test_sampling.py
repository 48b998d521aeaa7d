"""Sampling against the definitions, written again in plain Python."""

import math

import pytest
import torch

from pipeline.inference.sampling import filter_log_probs, sample


def brute_force(probs, temperature=1.0, top_k=None, top_p=None, forbid=()):
    """The definition: a dictionary of ids is filtered and normalized step by step."""
    left = {i: p for i, p in enumerate(probs) if i not in forbid}
    left = normalised({i: p ** (1 / temperature) for i, p in left.items()})
    order = sorted(left, key=lambda i: (-left[i], i))
    if top_k is not None:
        order = order[:top_k]
        left = normalised({i: left[i] for i in order})
    if top_p is not None:
        size = next(n for n in range(1, len(order) + 1) if nearly(order[:n], left) >= top_p)
        left = normalised({i: left[i] for i in order[:size]})
    return [left.get(i, 0.0) for i in range(len(probs))]


def nearly(ids, probs):
    """The sum, raised so that rounding does not keep it below 1."""
    return sum(probs[i] for i in ids) + 1e-12


def normalised(probs):
    total = sum(probs.values())
    return {i: p / total for i, p in probs.items()}


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 3, 50])
@pytest.mark.parametrize("top_p", [None, 0.01, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("forbid", [(), (0, 4)])
def test_filtered_distribution_is_the_definition(temperature, top_k, top_p, forbid):
    generator = torch.Generator().manual_seed(3)
    log_probs = (2 * torch.randn(2, 3, 9, generator=generator, dtype=torch.float64)).log_softmax(-1)
    ours = filter_log_probs(log_probs, temperature, top_k, top_p, forbid).exp()
    for row, expected in zip(ours.reshape(6, 9), log_probs.reshape(6, 9).exp(), strict=True):
        want = brute_force(expected.tolist(), temperature, top_k, top_p, forbid)
        assert row.tolist() == pytest.approx(want, abs=1e-12)


def test_order_of_the_filters():
    """top_k keeps .4 and .3; the first has 4/7 of their sum, which exceeds .5."""
    log_probs = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1]).log()
    assert filter_log_probs(log_probs, top_k=2, top_p=0.5).exp().tolist() == [1, 0, 0, 0, 0]
    assert filter_log_probs(log_probs, top_p=0.5).exp().gt(0).tolist() == [1, 1, 0, 0, 0]


def test_the_nucleus_ends_where_the_share_is_reached():
    """Holtzman et al.: the smallest set whose sum is at least p; sums of powers of 2 are exact."""
    log_probs = torch.tensor([0.25, 0.5, 0.125, 0.125]).double().log()
    for top_p, size in ((0.5, 1), (0.5001, 2), (0.75, 2), (0.76, 3), (0.875, 3), (0.88, 4)):
        kept = filter_log_probs(log_probs, top_p=top_p).exp().gt(0)
        assert kept.sum() == size, top_p
        assert kept[1]


def test_the_whole_nucleus_keeps_the_unlikeliest_token():
    log_probs = torch.tensor([0.0, -80.0]).double()
    assert filter_log_probs(log_probs, top_p=1.0).isfinite().all()


def test_ties_go_to_lower_ids():
    log_probs = torch.zeros(6)
    assert filter_log_probs(log_probs, top_k=2).exp().tolist() == [0.5, 0.5, 0, 0, 0, 0]
    assert filter_log_probs(log_probs, top_p=0.5, forbid=[0]).exp().gt(0).nonzero().tolist() == [
        [1],
        [2],
        [3],
    ]
    assert sample(log_probs, temperature=0) == 0


def test_greedy():
    generator = torch.Generator().manual_seed(5)
    log_probs = torch.randn(20, 30, generator=generator).log_softmax(-1)
    best = log_probs.argmax(-1)
    assert torch.equal(sample(log_probs, temperature=0), best)
    assert torch.equal(sample(log_probs, temperature=0, top_k=7, top_p=0.9), best)
    assert torch.equal(sample(log_probs, top_k=1, temperature=3.0), best)
    assert torch.equal(sample(log_probs, temperature=1e-320), best)
    second = log_probs[0].clone()
    second[best[0]] = -math.inf
    assert sample(log_probs[0], temperature=0, forbid=[int(best[0])]) == second.argmax()


def test_draws_follow_the_filtered_distribution():
    """Each frequency of 40,000 draws lies within 5 standard deviations of its probability."""
    log_probs = torch.tensor([0.05, 0.3, 0.25, 0.2, 0.15, 0.05]).log()
    settings = {"temperature": 0.7, "top_k": 5, "top_p": 0.93, "forbid": [2]}
    count = 40_000
    generator = torch.Generator().manual_seed(11)
    drawn = sample(log_probs.expand(count, -1), **settings, generator=generator)
    frequencies = torch.bincount(drawn, minlength=6) / count
    expected = brute_force(log_probs.exp().tolist(), **settings)
    for frequency, probability in zip(frequencies.tolist(), expected, strict=True):
        deviation = math.sqrt(probability * (1 - probability) / count)
        assert abs(frequency - probability) <= 5 * deviation


def test_a_seed_repeats_and_rows_are_independent():
    log_probs = torch.zeros(4, 5, 1000)

    def draw(seed):
        return sample(log_probs, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert len(set(draw(1).flatten().tolist())) > 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature must be 0 or more, got -0.1"),
        ({"temperature": math.nan}, "temperature must be 0 or more, got nan"),
        ({"temperature": math.inf}, "temperature must be 0 or more, got inf"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
        ({"forbid": [3]}, "cannot forbid token id 3; the vocabulary has ids 0 to 2"),
        ({"forbid": [-1]}, "cannot forbid token id -1; the vocabulary has ids 0 to 2"),
        (
            {"forbid": [0, 1, 2]},
            "no token is left to sample: all tokens with a probability above 0 are forbidden",
        ),
    ],
)
def test_mistakes_are_told(settings, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        sample(torch.zeros(2, 3), **settings)
