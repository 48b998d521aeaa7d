"""Schedules against the code that was published with the models."""

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LRSchedulerCallable

from pipeline.schedules import DecayAfter


def optimizer(*rates):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups)


def rates(schedule, epochs):
    """The rates of the first group in some epochs, the schedule stepping at the end of each."""
    seen = []
    for _ in range(epochs):
        seen.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize(
    ("max_epoch", "lr_decay", "max_max_epoch"), [(4, 0.5, 13), (6, 1 / 1.2, 39), (14, 1 / 1.15, 55)]
)
def test_zaremba_in_tensorflow(max_epoch, lr_decay, max_max_epoch):
    # ptb_word_lm.py
    expected = [1.0 * lr_decay ** max(i + 1 - max_epoch, 0.0) for i in range(max_max_epoch)]
    schedule = DecayAfter(optimizer(1.0), epoch=max_epoch, factor=lr_decay)
    assert rates(schedule, max_max_epoch) == pytest.approx(expected)


def test_zaremba_in_lua():
    """There the sixth epoch is the first at half the rate."""
    lr, expected = 1.0, []
    for epoch in range(1, 14):  # main.lua: `epoch` is over when it is compared
        expected.append(lr)
        if epoch > 4:
            lr = lr / 2
    assert rates(DecayAfter(optimizer(1.0), epoch=5, factor=0.5), 13) == expected


def test_first_rates_by_hand():
    schedule = DecayAfter(optimizer(20.0), epoch=2, factor=0.25)
    assert rates(schedule, 5) == [20, 20, 5, 1.25, 0.3125]
    assert rates(DecayAfter(optimizer(1.0), epoch=0), 3) == [0.5, 0.25, 0.125]


def test_each_group_decays_from_its_own_rate():
    schedule = DecayAfter(optimizer(1.0, 0.1), epoch=1, factor=0.5)
    rates(schedule, 2)
    assert schedule.get_last_lr() == pytest.approx([0.25, 0.025])


@pytest.mark.parametrize("epochs", [0, 3, 4, 5, 9])
def test_resumes_exactly(epochs, tmp_path):
    whole = rates(DecayAfter(optimizer(1.0), epoch=4, factor=1 / 1.2), 13)
    first = DecayAfter(optimizer(1.0), epoch=4, factor=1 / 1.2)
    rates(first, epochs)
    torch.save([first.state_dict(), first.optimizer.state_dict()], tmp_path / "state.pt")
    second = DecayAfter(optimizer(1.0), epoch=4, factor=1 / 1.2)
    of_schedule, of_optimizer = torch.load(tmp_path / "state.pt", weights_only=True)
    second.load_state_dict(of_schedule)
    second.optimizer.load_state_dict(of_optimizer)
    assert rates(second, 13 - epochs) == whole[epochs:]


def test_a_configuration_names_it():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--lr_scheduler", type=LRSchedulerCallable)
    arguments = ["--lr_scheduler=pipeline.schedules.DecayAfter", "--lr_scheduler.epoch=1"]
    make = parser.instantiate(parser.parse_args(arguments)).lr_scheduler
    assert rates(make(optimizer(1.0)), 3) == [1, 0.5, 0.25]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": -1}, "epoch must be at least 0, got -1"),
        ({"epoch": 1, "factor": 0.0}, "factor must be above 0 and at most 1, got 0.0"),
        ({"epoch": 1, "factor": 2.0}, "factor must be above 0 and at most 1, got 2.0"),
    ],
)
def test_mistakes_are_told(settings, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        DecayAfter(optimizer(1.0), **settings)
