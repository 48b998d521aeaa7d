"""The CRF against pytorch-crf 0.7.2."""

import pytest
import torch
import torchcrf

from pipeline.decoders import CRF
from tests.unit.pipeline.decoders.examples import SIZE


@pytest.mark.parametrize("num_tags", [1, 3, 9, 45])
def test_loss_gradients_and_best_path(num_tags):
    torch.manual_seed(num_tags)
    ours = CRF(SIZE, [f"label{i}" for i in range(num_tags)]).double()
    theirs = torchcrf.CRF(num_tags, batch_first=True).double()
    for mine, other in (
        (ours.transitions, theirs.transitions),
        (ours.starts, theirs.start_transitions),
        (ours.ends, theirs.end_transitions),
    ):
        torch.nn.init.normal_(mine)
        other.data.copy_(mine.data)
    lengths = torch.cat([torch.tensor([12, 1]), torch.randint(1, 13, (8,))])
    mask = torch.arange(12) < lengths.unsqueeze(1)
    states = torch.randn(10, 12, SIZE, dtype=torch.float64)
    targets = torch.randint(num_tags, (10, 12))
    loss = ours.loss(states, targets, lengths)
    emissions = ours.linear(states)
    expected = -theirs(emissions, targets, mask, reduction="sum")
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward(inputs=[theirs.transitions, theirs.start_transitions, theirs.end_transitions])
    torch.testing.assert_close(ours.transitions.grad, theirs.transitions.grad)
    torch.testing.assert_close(ours.starts.grad, theirs.start_transitions.grad)
    torch.testing.assert_close(ours.ends.grad, theirs.end_transitions.grad)
    decoded = ours.decode(states, lengths).tolist()
    best = [row[:length] for row, length in zip(decoded, lengths.tolist(), strict=True)]
    assert best == theirs.decode(emissions, mask)
