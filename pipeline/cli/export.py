"""`export`: write a trained model in a format of other programs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipeline.cli import common
from pipeline.console import check_output, print_note, print_result
from pipeline.errors import InputError, os_error_sentence

if TYPE_CHECKING:
    from pipeline.checkpoints.read import Trained

_ENDINGS = (".arpa", ".arpa.gz", ".onnx", ".safetensors")


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "export",
        "Write a model as ONNX or safetensors file, an n-gram model as ARPA file.",
        "The name of the file determines the format. ARPA: n-gram models, for KenLM and SRILM. "
        "ONNX: taggers up to the scores of tags, classifiers, and one step of neural language "
        "models, verified with ONNX Runtime. safetensors: the weights of any model.",
    )
    common.add_model_source(verb.add_mutually_exclusive_group())
    common.add_trust(verb)
    verb.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help="File to write, whose name ends in .onnx, .safetensors, .arpa or, compressed, "
        ".arpa.gz.",
    )


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, writes the file, and returns the exit code."""
    common.require_no_fields(options, fields)
    common.require_model_source(options)
    _check_output(options.output)
    entry.load()
    from pipeline.checkpoints.locate import locate
    from pipeline.checkpoints.read import load_trained

    trained = load_trained(locate(options.run, options.checkpoint))
    if options.output.suffix == ".onnx":
        from pipeline.inference.exporting import write_onnx

        difference = write_onnx(trained, options.output)
        print_note(f"verified with ONNX Runtime; largest difference {difference:.2g}")
    elif options.output.suffix == ".safetensors":
        from pipeline.inference.exporting import write_safetensors

        print_note(f"{write_safetensors(trained, options.output)} tensors")
    else:
        _write_arpa(trained, options.output)
    print_result(str(options.output))
    return 0


def _write_arpa(trained: "Trained", output: Path) -> None:
    from pipeline.checkpoints.read import require
    from pipeline.contracts import NgramTables
    from pipeline.ngrams import write_arpa

    model = cast(NgramTables, require(trained, NgramTables, "an n-gram language model").model)
    try:
        write_arpa(output, model.ngrams, model.vocabulary)
    except OSError as error:
        error.filename = error.filename2 = None
        raise InputError(f"--output {output}: {os_error_sentence(error)}") from error


def _check_output(output: Path) -> None:
    if not output.name.endswith(_ENDINGS):
        raise InputError(
            f"--output {output}: expected a name that ends in .onnx, .safetensors, .arpa or, "
            "compressed, .arpa.gz"
        )
    check_output(output)
