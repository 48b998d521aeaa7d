"""Counts parameters by part, with the formulas of the textbooks."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from torch import nn

from pipeline.console import Justify, format_table
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.errors import InputError
from pipeline.heads import FullSoftmax
from pipeline.heads.ngram import NgramHead

_INNER = {"layers", "inner", "layer", "kernel", "cell"}  # names left out of the table
_COLUMNS: dict[str, Justify] = {
    **dict.fromkeys(("part", "kind"), "left"),
    **dict.fromkeys(("parameters", "share"), "right"),
    "formula": "left",
}
_LEGEND = "N words, d inputs and h units of a layer; without a formula: sizes of the tensors"


class Part(NamedTuple):
    """Number of parameters of a part of a model."""

    name: str  # "encoder 1 right_to_left" is a layer, from 1, and its direction
    kind: str  # name of the class
    num_parameters: int  # number of parameters that are not shared with an earlier part
    num_biases: int  # number of them that are biases of a recurrent layer
    formula: str  # formula of the count, with the sizes filled in
    shared: str  # name of the earlier part that has the other parameters, or ""
    is_learned: bool  # whether all of them are trained


def count_parameters(model: nn.Module) -> list[Part]:
    """Counts the parameters of each part of a model.

    A part is a recurrent layer in one direction, or a module with parameters of its own. A shared
    parameter is counted in the first part that has it. For d inputs, h units and N words the
    counts are: LSTM 4(hd + hh) + 8h, GRU 3(hd + hh) + 6h, Elman hd + hh + 2h (with two bias
    vectors), embedding Nd, output layer hN + N.

    Example:
        >>> from torch import nn
        >>> [part.formula for part in count_parameters(nn.Embedding(1000, 50))]
        ['Nd = 1000·50']

    Raises:
        InputError: If the model is an n-gram model.
    """
    if isinstance(getattr(model, "head", None), NgramHead):
        raise InputError(
            "an n-gram model has counts and no parameters; `unroll export` writes the counts"
        )
    owners = dict[int, str]()
    parts = []
    for path, module in _parts(model):
        own = dict(module.named_parameters(recurse=isinstance(module, RecurrentLayer)))
        name = _shown(path) or "the task"
        twice = {owners[id(p)] for p in own.values() if id(p) in owners}
        new = {key: p for key, p in own.items() if id(p) not in owners}
        owners.update((id(p), name) for p in new.values())
        count, biases, formula = sum(p.numel() for p in new.values()), 0, ""
        if isinstance(module, RecurrentLayer):
            biases, formula = _recurrent_biases(module, new.values()), _layer_formula(module, count)
        formula = formula or _formula(module, [tuple(p.shape) for p in new.values()])
        is_learned = all(p.requires_grad for p in new.values())
        shared = ", ".join(sorted(twice))
        parts.append(Part(name, _kind(module), count, biases, formula, shared, is_learned))
    return parts


def model_sizes(model: nn.Module) -> dict[str, int]:
    """Returns the number of parameters of a model, with and without embeddings.

    Shared parameters are counted once, and a matrix that is also an embedding counts as one. The
    parameters of an n-gram model are its probabilities and backoff weights; it has no embeddings.

    Example:
        >>> model_sizes(nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)))
        {'model/parameters': 50, 'model/parameters_without_embeddings': 10}
    """
    counts = sum(head.num_values for head in model.modules() if isinstance(head, NgramHead))
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    named = [(id(p), p.numel()) for p in model.parameters()]  # each once
    rest = sum(size for key, size in named if key not in embeddings)
    total = sum(size for _, size in named)
    return {
        "model/parameters": total + counts,
        "model/parameters_without_embeddings": rest + counts,
    }


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    # A module with two places is yielded at each; at the second one all is shared.
    leaves = tuple[str, ...]()
    for path, module in model.named_modules(remove_duplicate=False):
        if any(path.startswith(f"{leaf}.") for leaf in leaves):
            continue
        if isinstance(module, RecurrentLayer):
            leaves += (path,)
            yield path, module
        elif next(module.parameters(recurse=False), None) is not None:
            yield path, module


def _shown(path: str) -> str:
    words = path.split(".")
    if words[0] == "encoder":
        words = [word for word in words if word not in _INNER]
    return " ".join(str(int(word) + 1) if word.isdigit() else word for word in words)


def _kind(module: nn.Module) -> str:
    """Returns the class name; for a recurrent layer, that of its encoder, such as "Elman"."""
    inside = [getattr(module, name, None) for name in ("kernel", "cell")]
    found = type(next((part for part in inside if isinstance(part, nn.Module)), module)).__name__
    return "Elman" if found == "RNN" else found.removesuffix("Cell")


def _layer_formula(leaf: RecurrentLayer, count: int) -> str:
    """Returns the formula of the textbooks, or "" where it does not give the count."""
    weights = leaf.weights
    size, gates = leaf.output_size, len(weights.gates)
    inputs, times = weights.input.shape[1], "" if gates == 1 else f"{gates}"
    has_recurrent = weights.recurrent is not None
    biases = gates * (1 + has_recurrent)
    expected = gates * size * (inputs + size * has_recurrent) + biases * size
    if expected + sum(matrix.numel() for matrix in weights.others) != count:
        return ""
    symbols, numbers = "hd", f"{size}·{leaf.input_size}"
    if inputs != leaf.input_size:  # a layer that reads several inputs per step
        reads = inputs // leaf.input_size
        symbols, numbers = f"{reads}hd", f"{reads}·{numbers}"
    if has_recurrent:
        symbols, numbers = f"{symbols} + hh", f"{numbers} + {size}·{size}"
    if times:
        symbols, numbers = f"{times}({symbols})", f"{times}({numbers})"
    more = len(weights.others)
    if not more:
        return f"{symbols} + {biases}h = {numbers} + {biases}·{size}"
    shapes = [tuple(matrix.shape) for matrix in weights.others]
    if {frozenset(shape) for shape in shapes} == {frozenset((size, inputs))}:
        symbol, others = f"{more}hd", f"{more}·{size}·{inputs}"
    else:
        symbol, others = "others", " + ".join(f"{a}·{b}" for a, b in shapes)
    return f"{symbols} + {biases}h + {symbol} = {numbers} + {biases}·{size} + {others}"


def _recurrent_biases(leaf: RecurrentLayer, new: Iterable[nn.Parameter]) -> int:
    weights = leaf.weights
    biases = {id(bias) for bias in (weights.input_bias, weights.recurrent_bias)}
    return sum(parameter.numel() for parameter in new if id(parameter) in biases)


def _formula(module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> str:
    numbers = " + ".join("·".join(str(size) for size in shape) for shape in shapes)
    if isinstance(module, nn.Embedding) and shapes:
        return f"Nd = {numbers}"
    if isinstance(module, FullSoftmax):
        symbols = {(2,): "hN", (1,): "N", (2, 1): "hN + N"}.get(tuple(map(len, shapes)), "")
        return f"{symbols} = {numbers}"
    return numbers


def to_json(parts: Sequence[Part]) -> str:
    """Returns the counts as a JSON object."""
    total = sum(part.num_parameters for part in parts)
    learned = sum(part.num_parameters for part in parts if part.is_learned)
    rows = [part._asdict() for part in parts]
    return json.dumps({"total": total, "learned": learned, "parts": rows}, indent=1)


def to_table(parts: Sequence[Part]) -> str:
    """Returns the counts as a table with a legend."""
    total = sum(part.num_parameters for part in parts)
    rows = []
    for part in parts:
        notes = [part.formula] * bool(part.num_parameters)
        notes += [f"shared with {part.shared}"] * bool(part.shared)
        notes += ["not learned"] * (not part.is_learned)
        share = f"{part.num_parameters / total:.1%}" if total else ""
        rows.append([part.name, part.kind, f"{part.num_parameters:,}", share, "; ".join(notes)])
    rows.append(["total", "", f"{total:,}", "", "shared parameters are counted once"])
    table = format_table(_COLUMNS, rows, wraps=("formula",))
    return f"{table}{_LEGEND}{_bias_note(parts)}"


def _bias_note(parts: Sequence[Part]) -> str:
    biases = sum(part.num_biases for part in parts)
    note = f"\n{biases:,} of them are biases of recurrent layers" if biases else ""
    if biases and any("hh" in part.formula for part in parts):  # a matrix from state to state
        note += (
            ": torch's kernels have two bias vectors, one per matrix; textbooks count one or, as "
            "in 4(hd + hh), none"
        )
    return note
