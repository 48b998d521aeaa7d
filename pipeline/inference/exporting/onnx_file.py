"""Writes a trained model as an ONNX file, and verifies it with ONNX Runtime."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.checkpoints.read import Trained
from pipeline.errors import InputError
from pipeline.inference.exporting.graph import Graph, graph_of
from pipeline.inference.exporting.output import unfinished

_OPSET = 17
_TOLERANCE = 1e-4
_TRACED = (7, 5, 2)  # lengths of the rows with which the model is traced
_VERIFIED = ((4,), (19, 19, 19), (3, 1, 12, 12, 8))  # and with which the file is verified


def write_onnx(trained: Trained, output: Path) -> float:
    """Writes a model as an ONNX file with any batch size and number of steps.

    The file is compared with the model for batches of several shapes before it gets its name.

    Args:
        trained: A tagger, classifier or language model.
        output: File to write.

    Returns:
        Largest absolute difference of an output between ONNX Runtime and the model.

    Raises:
        InputError: If the packages are missing, the model cannot be exported, the results differ,
            or the file cannot be written.
    """
    _require_packages()
    graph = graph_of(trained)
    with unfinished(output) as written:
        _export(graph, written, trained.name)
        difference = _verified(graph, written, trained.name)
        if not difference <= _TOLERANCE:
            raise InputError(
                f"{trained.name} cannot be exported: the results of the ONNX file differ from "
                f"those of the model by {difference:.2g}, more than {_TOLERANCE:g}"
            )
    return difference


def _verified(graph: Graph, file: Path, name: str) -> float:
    """Returns the largest difference for batches of several shapes."""
    try:
        session = open_session(file)
        return max(
            largest_difference(graph, session, graph.example(torch.tensor(lengths), seed))
            for seed, lengths in enumerate(_VERIFIED)
        )
    except Exception as error:  # ONNX Runtime has no common class of errors
        raise InputError(
            f"{name} cannot be exported: the ONNX file works for one number of steps only, because "
            "the encoder is computed step by step; use an encoder with a kernel of torch (LSTM)"
        ) from error


def largest_difference(graph: Graph, session: Any, inputs: list[Tensor]) -> float:  # noqa: ANN401
    """Returns the largest absolute difference between a graph and its file, for some inputs.

    Outputs after the end of a row are not compared, since they are unspecified.

    Args:
        graph: Graph.
        session: The file, opened by `open_session`.
        inputs: Inputs of the graph.
    """
    names = {each.name for each in session.get_inputs()}
    pairs = zip(graph.inputs, inputs, strict=True)
    found = session.run(graph.outputs, {name: x.numpy() for name, x in pairs if name in names})
    with torch.inference_mode():
        expected = graph.module(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    differences = []
    for name, one, other in zip(graph.outputs, expected, found, strict=True):
        difference = (one - torch.from_numpy(other)).abs()
        if name in graph.timed:
            is_real = torch.arange(one.shape[1]) < inputs[-1].unsqueeze(1)
            difference = difference[is_real]
        differences.append(float(difference.max()))
    return max(differences)


def open_session(file: Path) -> Any:  # noqa: ANN401 (ONNX Runtime has no types)
    """Opens an ONNX file for the CPU, with as many threads as torch has."""
    import onnxruntime

    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _export(graph: Graph, file: Path, name: str) -> None:
    import onnx

    axes = {each: {0: "batch"} for each in (*graph.inputs, *graph.outputs)}
    for each in graph.timed:
        axes[each][1] = "time"
    for each in graph.spelled:
        axes[each][2] = "characters"
    # With gradients, recurrences are torch's own operations, which ONNX has, too.
    with warnings.catch_warnings(), torch.enable_grad():
        # The tracer warns about each check of sizes; the file is verified with other sizes.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                graph.module,
                tuple(graph.example(torch.tensor(_TRACED), 0)),
                str(file),
                input_names=graph.inputs,
                output_names=graph.outputs,
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{name} cannot be exported to ONNX: {reason}") from error
    model = onnx.load(str(file))
    for key, text in graph.metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    onnx.save(model, str(file))


def _require_packages() -> None:
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(
            f"--output FILE.onnx needs the Python package {error.name}, which is not installed; "
            'install the extra: pip install "unroll[export]"'
        ) from error
    assert onnx is not None
    assert onnxruntime is not None
