import pytest
import torch

from pipeline.encoders import LSTM, VariationalDropout


def test_one_mask_for_all_steps_of_a_row():
    torch.manual_seed(1)
    ones = torch.ones(400, 7, 50)
    dropped = VariationalDropout(0.3)(ones)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    values = dropped[:, 0].unique().tolist()
    assert values == pytest.approx([0, 1 / 0.7])
    assert (dropped[:, 0] == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert len(dropped[:, 0].unique(dim=0)) == 400  # another mask in each row


def test_nothing_happens_in_evaluation():
    inputs = torch.randn(2, 3, 4)
    assert VariationalDropout(0.5).eval()(inputs) is inputs


def test_between_the_layers_of_an_encoder():
    """With all states of the first layer alike over time, the second one reads a constant."""
    torch.manual_seed(2)
    encoder = LSTM(2, 16, num_layers=2, dropout=0.5, variational=True)
    masks = []
    inner = encoder.layers.layers[1].inner
    inner.register_forward_pre_hook(lambda _, inputs: masks.append(inputs[0] == 0))
    encoder(torch.randn(5, 6, 2))
    assert torch.equal(masks[0], masks[0][:, :1].expand_as(masks[0]))
    assert 0.2 < masks[0].double().mean() < 0.8


@pytest.mark.parametrize("chance", [-0.1, 1.0])
def test_impossible_chances(chance):
    with pytest.raises(ValueError, match="dropout"):
        VariationalDropout(chance)
