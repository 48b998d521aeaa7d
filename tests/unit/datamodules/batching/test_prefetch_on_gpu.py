"""Prefetching with real pinned memory, and copies for which the host does not wait."""

import pytest
import torch
from lightning.fabric.utilities import move_data_to_device

from datamodules.batching.prefetch import Prefetch
from tests.unit.datamodules.batching.test_prefetch import DATA, loaders, plain

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", DATA)
def test_batches_reach_the_gpu_without_a_wait(name):
    device = torch.device("cuda", 0)
    expected = [plain(batch) for batch in loaders(DATA[name](), map)["train"]]
    found = []
    torch.zeros(1, device=device)  # starts CUDA
    for batch in loaders(DATA[name](), Prefetch(device))["train"]:
        tensors = [x for x in batch if isinstance(x, torch.Tensor) and x.numel()]
        assert all(x.is_pinned() for x in tensors)
        torch.cuda.set_sync_debug_mode("error")
        try:
            found.append(move_data_to_device(batch, device))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert [plain(batch) for batch in found] == expected
