"""The fused update of Adam is Adam."""

import pytest
import torch
from torch import nn

from pipeline.optimization import in_one_pass


def updated(kind, prepare, **settings):
    torch.manual_seed(1)
    parameter = nn.Parameter(torch.randn(70, 30))
    optimizer = kind([{"params": [parameter]}], lr=0.01, **settings)
    prepare(optimizer)
    for step in range(20):
        optimizer.zero_grad()
        (parameter.sin() * torch.linspace(0.1, 2.0 + step, 30)).sum().backward()
        optimizer.step()
    return parameter.detach(), optimizer


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "amsgrad": True}])
def test_it_is_the_same_update(kind, settings):
    expected, plain = updated(kind, lambda optimizer: None, **settings)
    found, fused = updated(kind, in_one_pass, **settings)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not plain.param_groups[0]["fused"]
    assert fused.param_groups[0]["fused"]


@pytest.mark.parametrize("told", [{"fused": False}, {"foreach": True}, {"differentiable": True}])
def test_what_a_person_chose_stays(told):
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(2))], **told)
    in_one_pass(optimizer)
    assert not optimizer.param_groups[0]["fused"]


def test_other_optimisers_stay():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1)
    before = optimizer.state_dict()
    in_one_pass(optimizer)
    assert optimizer.state_dict() == before
