"""Trees over time against the loops of a CPU and the enumeration of all paths, in float64."""

import itertools
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders import CRF, chain, chain_trees
from pipeline.decoders.scores import ChainScores, Constraints
from pipeline.decoders.tree import LOWEST, log_product
from pipeline.text.tags import tag_set
from tests.unit.pipeline.decoders.examples import DECODERS, SIZE, batch, make

CASES = [  # number of tags, lengths
    (1, [1, 0]),
    (1, [4, 0, 2]),
    (3, [0, 1]),
    (3, [2, 1]),
    (3, [0, 1, 2, 3]),
    (5, [5, 3, 0, 4, 1, 2]),
    (4, [9, 6, 8, 1]),
    (2, [17, 16, 13, 0]),
]


def problem(num_tags, lengths, seed=0):
    """Emissions, lengths, scores and targets, which have garbage after the end of a row."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * 2

    time = max(lengths)
    scores = ChainScores(draw(num_tags, num_tags), draw(num_tags), draw(num_tags))
    targets = torch.randint(num_tags, (len(lengths), time), generator=generator)
    targets[torch.arange(time) >= torch.tensor(lengths).unsqueeze(1)] = IGNORE_INDEX
    return draw(len(lengths), time, num_tags), torch.tensor(lengths), scores, targets


def with_gradients(function, emissions, lengths, scores, *rest):
    leaves = [leaf.clone().requires_grad_() for leaf in (emissions, *scores)]
    result = function(leaves[0], lengths, ChainScores(*leaves[1:]), *rest)
    weights = torch.arange(1.0, 1 + len(lengths), dtype=torch.float64)
    return result.detach(), torch.autograd.grad((result * weights).sum(), leaves, allow_unused=True)


def assert_same(found, expected):
    torch.testing.assert_close(found[0], expected[0], rtol=1e-10, atol=1e-12)
    for one, other in zip(found[1], expected[1], strict=True):
        known = torch.zeros_like(one) if other is None else other  # by a loop of one step
        torch.testing.assert_close(one, known, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("num_tags", "lengths"), CASES)
def test_the_log_partition_and_its_gradients(num_tags, lengths):
    *arguments, _ = problem(num_tags, lengths)
    found = with_gradients(chain_trees.log_partition, *arguments)
    assert_same(found, with_gradients(chain.log_partition, *arguments))
    is_padding = torch.arange(max(lengths)) >= arguments[1].unsqueeze(1)
    assert not found[1][0][is_padding].any()


@pytest.mark.parametrize(("num_tags", "lengths"), CASES)
def test_the_path_score_and_its_gradients(num_tags, lengths):
    arguments = problem(num_tags, lengths)
    found = with_gradients(chain_trees.path_score, *arguments)
    assert_same(found, with_gradients(chain.path_score, *arguments))


@pytest.mark.parametrize(("num_tags", "lengths"), CASES)
def test_the_best_path(num_tags, lengths):
    for seed in range(5):
        *arguments, _ = problem(num_tags, lengths, seed)
        assert torch.equal(chain_trees.viterbi(*arguments), chain.viterbi(*arguments))


@pytest.mark.parametrize(("num_tags", "lengths"), CASES)
def test_the_posterior(num_tags, lengths):
    *arguments, _ = problem(num_tags, lengths)
    found, expected = (module.posterior(*arguments) for module in (chain_trees, chain))
    is_real = torch.arange(max(lengths)) < arguments[1].unsqueeze(1)
    for one, other in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(one[is_real], other[is_real], rtol=1e-10, atol=1e-12)
    leaf = arguments[0].requires_grad_()
    gradients = [
        torch.autograd.grad(
            module.posterior(*arguments).log_marginals[is_real].square().sum(), leaf
        )[0]
        for module in (chain_trees, chain)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)


def test_long_sentences_stay_exact():
    emissions, lengths, scores, _ = problem(3, [2000])
    exact = chain.posterior(emissions, lengths, scores)
    single = ChainScores(*(part.float() for part in scores))
    found = chain_trees.posterior(emissions.float(), lengths, single)
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_all_paths_enumerated():
    emissions, lengths, scores, _ = problem(3, [5, 0, 1, 4])
    partition = chain_trees.log_partition(emissions, lengths, scores)
    best = chain_trees.viterbi(emissions, lengths, scores)
    for row, length in enumerate(lengths.tolist()):
        totals = {}
        for path in itertools.product(range(3), repeat=length):
            total = sum(float(emissions[row, t, tag]) for t, tag in enumerate(path))
            total += sum(float(scores.transitions[pair]) for pair in itertools.pairwise(path))
            ends = scores.starts[path[0]] + scores.ends[path[-1]] if path else 0.0
            totals[path] = total + float(ends)
        expected = math.log(sum(math.exp(total) for total in totals.values()))
        assert float(partition[row]) == pytest.approx(expected, rel=1e-12)
        padding = (IGNORE_INDEX,) * (5 - length)
        assert tuple(best[row].tolist()) == max(totals, key=totals.get) + padding


@pytest.mark.parametrize("lengths", [[6, 1, 0, 3], [1, 1], [2, 2, 2]])
def test_forbidden_transitions(lengths):
    emissions, lengths, scores, _ = problem(5, lengths)
    scores = Constraints(tag_set(["x", "y"])).on(scores)
    assert torch.isinf(scores.transitions).any()
    found = with_gradients(chain_trees.log_partition, emissions, lengths, scores)
    assert all(gradient.isfinite().all() for gradient in found[1])
    assert_same(found, with_gradients(chain.log_partition, emissions, lengths, scores))
    best = chain_trees.viterbi(emissions, lengths, scores)
    assert torch.equal(best, chain.viterbi(emissions, lengths, scores))


def test_a_tag_that_no_path_contains():
    """It is as if the tag did not exist; the gradient of the loop would be nan."""
    emissions, lengths, scores, _ = problem(3, [7, 4, 1])
    transitions, starts = scores.transitions.clone(), scores.starts.clone()
    transitions[:, 1] = transitions[1] = starts[1] = -torch.inf
    values, (of_emissions, of_transitions, *others) = with_gradients(
        chain_trees.log_partition, emissions, lengths, ChainScores(transitions, starts, scores.ends)
    )
    kept = torch.tensor([0, 2])
    fewer = ChainScores(*(part[kept] for part in (transitions[:, kept], starts, scores.ends)))
    expected = with_gradients(chain.log_partition, emissions[..., kept], lengths, fewer)
    gradients = of_emissions[..., kept], of_transitions[kept][:, kept], *(o[kept] for o in others)
    assert_same((values, gradients), expected)
    for gradient in (of_emissions[..., 1], of_transitions[1], of_transitions[:, 1], others[0][1]):
        assert not gradient.any()


def test_equal_scores():
    """The tree returns one of the best paths, with the last tag that the loop finds."""
    emissions = torch.randint(2, (50, 6, 3), generator=torch.Generator().manual_seed(0)).double()
    scores = ChainScores(torch.zeros(3, 3), torch.zeros(3), torch.zeros(3))
    lengths = torch.full((50,), 6)
    found, expected = (
        find(emissions, lengths, scores) for find in (chain_trees.viterbi, chain.viterbi)
    )
    assert torch.equal(found[:, -1], expected[:, -1])
    totals = [chain.path_score(emissions, lengths, scores, path) for path in (found, expected)]
    assert torch.equal(*totals)


def test_a_product_of_matrices():
    matrices = torch.rand(3, 8, 4, 4, dtype=torch.float64)
    expected = torch.stack([torch.linalg.multi_dot(list(row)) for row in matrices])
    torch.testing.assert_close(log_product(matrices.log()).exp(), expected)
    lowest = torch.full((1, 2**6, 4, 4), -torch.inf)
    assert float(log_product(lowest).max()) < LOWEST
    matrices.requires_grad_()
    assert torch.autograd.gradcheck(log_product, matrices)


class Counter(TorchDispatchMode):
    """Counts calls of operators that compute something."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def test_number_of_calls():
    """60 steps and 9 tags: 6 rounds instead of 59 steps."""
    counts = {}
    for device, time in itertools.product(("cpu", "meta"), (33, 60)):
        decoder = CRF(SIZE, tag_set("abcd")).to(device)
        states, targets, lengths = batch([time, 7], 9)
        with Counter() as counter:
            decoder.loss(states.float().to(device), targets.to(device), lengths).backward()
        counts[device, time] = counter.count
    assert counts["meta", 60] < counts["cpu", 60] / 4
    assert counts["meta", 60] - counts["meta", 33] < 20  # a round more


@pytest.mark.parametrize("num_tags", [9, 400])
@pytest.mark.parametrize("name", DECODERS)
def test_the_host_waits_for_nothing(name, num_tags):
    """A device without values: reading one raises an error."""
    tags = tag_set([str(number) for number in range((num_tags - 1) // 2)])
    decoder = DECODERS[name](SIZE, tags).to("meta")
    states, targets, lengths = batch([6, 0, 1])
    states, targets = states.float().to("meta").requires_grad_(), targets.to("meta")
    assert chain_trees.are_used(states.new_zeros(32, 60, len(tags))) == (num_tags == 9)
    decoder.loss(states, targets, lengths).backward()
    assert states.grad.shape == states.shape
    assert all(parameter.grad is not None for parameter in decoder.parameters())
    assert decoder.decode(states, lengths).device.type == "meta"
    assert decoder.marginals(states, lengths).shape == (3, 6, len(tags))
    assert decoder.posterior(states, lengths).messages.device.type == "meta"


@pytest.mark.gpu
@pytest.mark.parametrize("num_tags", [3, 400])
@pytest.mark.parametrize("name", DECODERS)
def test_on_a_gpu(name, num_tags, monkeypatch):
    monkeypatch.setattr(chain_trees, "_MOST_NUMBERS", 2**20)
    torch.manual_seed(0)
    tags = tag_set([str(number) for number in range((num_tags - 1) // 2)])
    decoder = DECODERS[name](SIZE, tags).double()
    states, targets, lengths = batch([37, 0, 1, 20], len(tags))

    def results(device):
        moved = decoder.to(device)
        moved.zero_grad()
        inputs, gold = states.detach().to(device).requires_grad_(), targets.to(device)
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss = moved.loss(inputs, gold, lengths)
            loss.backward()
            decoded, marginals = moved.decode(inputs, lengths), moved.marginals(inputs, lengths)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        # `Module.to` also moves gradients in place.
        gradients = [parameter.grad.cpu().clone() for parameter in moved.parameters()]
        real = torch.arange(37) < lengths.unsqueeze(1)
        return loss.cpu(), gradients, inputs.grad.cpu(), decoded.cpu(), marginals.cpu()[real]

    expected = results("cpu")
    torch.testing.assert_close(results("cuda"), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.gpu
@pytest.mark.parametrize("name", DECODERS)
def test_predictions_on_a_gpu(name):
    decoder = make(name)
    states, targets, lengths = batch([9, 0, 1, 5])

    def read(tags):
        from pipeline.text.tags import spans

        return spans(tags)

    expected = decoder.predict(states, lengths, read, targets)
    found = decoder.cuda().predict(states.cuda(), lengths, read, targets.cuda())
    assert found.tags == expected.tags
    torch.testing.assert_close(found.others, expected.others)
    for one, other in zip(found.log_probs, expected.log_probs, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
