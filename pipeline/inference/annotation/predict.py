"""`unroll predict --input`: tags or classifies text files with a trained model."""

from pathlib import Path

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import load_trained, require
from pipeline.console import open_output, print_note
from pipeline.contracts import SentenceTagger, TextClassifier
from pipeline.errors import InputError
from pipeline.inference.annotation.classify import ClassifyRequest, classify
from pipeline.inference.annotation.tag import TagRequest, annotate
from pipeline.process import cpu_multiplies_bfloat16
from pipeline.protocols import implements
from pipeline.text import treebank


def predict_texts(
    run: str | None,
    checkpoint: Path | None,
    request: ClassifyRequest,
    output: Path | None,
    bfloat16: bool = False,
) -> int:
    """Tags or classifies text files; writes to standard output if `output` is None.

    `bfloat16` is that of `TagRequest`; a classifier refuses it.
    """
    if bfloat16 and not cpu_multiplies_bfloat16():
        raise InputError("--bfloat16 needs a CPU with AVX512-BF16 or AMX; leave it out")
    path = locate(run, checkpoint)
    trained = load_trained(path)
    is_tagger = implements(trained.model, SentenceTagger)
    if not is_tagger:
        require(trained, TextClassifier, "a tagger or text classifier")
    if trained.data["text"] != treebank.state():
        print_note(
            f"tokenizer {treebank.state()} differs from tokenizer {trained.data['text']} used in "
            "training; tokens may differ"
        )
    if is_tagger and request.explain:
        raise InputError("--explain is for classifiers; leave it out for a tagger")
    if bfloat16 and not is_tagger:
        raise InputError("--bfloat16 is for taggers; leave it out for a classifier")
    with open_output(output) as file:
        if is_tagger:
            annotate(trained, TagRequest(*request[:4], bfloat16, request.vectors), file)
        else:
            classify(trained, request, file)
    return 0
