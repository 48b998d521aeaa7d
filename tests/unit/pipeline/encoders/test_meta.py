"""No encoder waits for a device: tensors on the meta device have no values to wait for.

`item`, `tolist`, `bool`, copies to the host and boolean indices all raise an error there.
"""

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

from tests.unit.pipeline.encoders.test_compile import ENCODERS

ROWS, STEPS, FEATURES = 3, 7, 3


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("lengths", [None, torch.tensor([7, 2, 0])], ids=["full", "padded"])
@pytest.mark.parametrize("name", ENCODERS)
def test_no_encoder_reads_values_from_a_device(name, lengths, training):
    encoder = ENCODERS[name]().to("meta").train(training)
    inputs = torch.zeros(ROWS, STEPS, FEATURES, device="meta", requires_grad=True)
    first = encoder(inputs, lengths)
    carry = tree_map(lambda part: part.detach().requires_grad_(), first.carry)
    second = encoder(inputs, lengths, carry)
    (first.states.sum() + second.states.sum()).backward()
    assert all(part.device.type == "meta" for part in tree_leaves(second))
    assert inputs.grad is not None
    assert all(parameter.grad is not None for parameter in encoder.parameters())
