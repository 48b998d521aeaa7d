"""Decoders and batches that the tests of decoders share."""

import torch

from pipeline.decoders import CRF, ConstrainedSoftmax, Softmax
from pipeline.text.tags import tag_set

DECODERS = {
    "softmax": lambda size, tags: Softmax(size, tags, outside_weight=0.5),
    "constrained": lambda size, tags: ConstrainedSoftmax(size, tags, outside_weight=0.5),
    "crf": CRF,
    "crf-unconstrained": lambda size, tags: CRF(size, tags, constrained=False),
}
TAGS = {3: tag_set(["x"]), 5: tag_set(["x", "y"])}
SIZE = 4


def make(name, num_tags=5, seed=0):
    """A decoder in float64, all its parameters far from 0."""
    torch.manual_seed(seed)
    decoder = DECODERS[name](SIZE, TAGS[num_tags]).double()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter)
    return decoder


def batch(lengths, num_tags=5, seed=1):
    """States, gold tags (garbage after the end) and lengths."""
    generator = torch.Generator().manual_seed(seed)
    time = max(1, *lengths)
    states = torch.randn(len(lengths), time, SIZE, generator=generator, dtype=torch.float64)
    targets = torch.randint(num_tags, (len(lengths), time), generator=generator)
    targets[torch.arange(time) >= torch.tensor(lengths).unsqueeze(1)] = -100
    return states, targets, torch.tensor(lengths)
