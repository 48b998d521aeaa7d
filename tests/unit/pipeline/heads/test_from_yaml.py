"""Output layers from class paths, short names and flags."""

from collections.abc import Callable

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from pipeline.heads import (
    AdaptiveSoftmax,
    ClassSoftmax,
    FullSoftmax,
    HierarchicalSoftmax,
    OutputLayer,
    Sampled,
)
from pipeline.text.vocabulary import Vocabulary
from tests.examples import vocabulary


class Task(nn.Module):
    def __init__(
        self,
        input_size: int,
        words: int,
        head: Callable[[int, Vocabulary], OutputLayer] = FullSoftmax,
    ) -> None:
        super().__init__()
        self.head = head(input_size, vocabulary(words))


@pytest.fixture
def build():
    def build_from(*arguments):
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--config", action="config")
        parser.add_class_arguments(Task, "task")
        arguments = ["--task.input_size=3", "--task.words=5", *arguments]
        return parser.instantiate(parser.parse_args(arguments)).task.head

    return build_from


def test_default(build):
    head = build()
    assert (type(head), head.input_size, head.vocab_size) == (FullSoftmax, 3, 5)
    assert head.bias is not None


def test_class_path_in_a_file(build, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "task: {head: {class_path: pipeline.heads.FullSoftmax, init_args: {bias: false}}}\n"
    )
    head = build(f"--config={path}")
    assert (type(head), head.input_size, head.vocab_size) == (FullSoftmax, 3, 5)
    assert head.bias is None


def test_short_names_as_flags(build):
    head = build("--task.head=FullSoftmax", "--task.head.init_scale=0.001")
    assert head.weight.abs().max() <= 0.001


def test_parts_of_a_layer_in_a_file(build, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "task:\n"
        "  head:\n"
        "    class_path: pipeline.heads.ClassSoftmax\n"
        "    init_args:\n"
        "      classes: {class_path: pipeline.heads.FrequencyBins, init_args: {num: 2}}\n"
    )
    head = build(f"--config={path}")
    assert type(head) is ClassSoftmax
    assert head.partition.class_of.tolist() == [0, 0, 0, 1, 1]  # 10 9 8 7 6


def test_parts_of_a_layer_as_flags(build):
    flags = ["ClassSoftmax", ".bias=false", ".classes=SquareRootBins", ".classes.num=1"]
    head = build(*("--task.head" + ("" if f[0] == "." else "=") + f for f in flags))
    assert head.partition.class_of.tolist() == [0] * 5
    assert head.bias is None


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["HierarchicalSoftmax", ".tree=BalancedTree"], HierarchicalSoftmax),
        (["HierarchicalSoftmax", ".tree=HuffmanTree", ".bias=false"], HierarchicalSoftmax),
        (["AdaptiveSoftmax", ".cutoffs=[1, 3]", ".div_value=2"], AdaptiveSoftmax),
        (["Sampled", ".num_negatives=3", ".power=0.75"], Sampled),
        (["Sampled", ".criterion=NCE", ".criterion.log_z=2.5"], Sampled),
        (["Sampled", ".criterion=NegativeSampling"], Sampled),
        (["Sampled", ".criterion=BlackOut"], Sampled),
        (["Sampled", ".criterion=SampledSoftmax"], Sampled),
    ],
)
def test_every_layer_has_a_short_name(build, flags, expected):
    head = build(*("--task.head" + ("" if f[0] == "." else "=") + f for f in flags))
    assert type(head) is expected
    assert head.loss(torch.zeros(2, 3), torch.tensor([0, 4])).isfinite()
