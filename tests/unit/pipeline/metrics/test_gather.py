"""Results of all ranks, sorted by row."""

import torch

from pipeline.metrics.gather import gathered


def test_rows_of_two_ranks_are_joined_in_order(monkeypatch):
    def gather(parts, own):
        parts[:] = [own, {0: "first", 3: "last"}]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    found = gathered({2: "third", 1: "second"}, world_size=2)
    assert list(found.items()) == [(0, "first"), (1, "second"), (2, "third"), (3, "last")]


def test_a_lone_process_sorts_its_own():
    assert list(gathered({2: "b", 0: "a"}, world_size=1)) == [0, 2]
