"""Scores sentences with a trained language model: read, batch, score, write."""

import gc
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import LANGUAGE_MODELS, Trained, load_trained
from pipeline.console import print_note
from pipeline.inference.output import writing
from pipeline.inference.score_files import Hypothesis, read_lines, read_nbest
from pipeline.inference.score_lines import Style, reranked
from pipeline.inference.scorer import Scored, Scorer, Totals
from pipeline.options import STANDARD_INPUT, ScoreRequest
from pipeline.process import configure_process


def score(
    run: str | None, checkpoint: Path | None, output: Path | None, request: ScoreRequest
) -> int:
    """Writes what a language model says of each sentence, and the sums on stderr.

    Args:
        run: the run that trained the model, **or**
        checkpoint: its file.
        output: where to write; standard output if omitted.
        request: what to score.

    Returns:
        The exit code, 0.

    Raises:
        InputError: there is no such model, or the text cannot be read.
    """
    configure_process()
    trained = load_trained(locate(run, checkpoint), *LANGUAGE_MODELS)
    with writing(output) as file:
        print_note(score_text(trained, request, file))
    return 0


def score_text(trained: Trained, request: ScoreRequest, file: TextIO) -> str:
    """Scores text.

    Args:
        trained: a language model.
        request: what to score.
        file: where to write.

    Returns:
        The sums over the whole text, for a person.

    Raises:
        InputError: the text cannot be read.
    """
    gc.freeze()  # the collector need not look through the model again for each chunk
    is_typed = request.source == STANDARD_INPUT and sys.stdin.isatty()
    scorer, totals = Scorer(trained, request.stream, is_typed), Totals()
    written = _nbest if request.nbest else _sentences
    for line in written(scorer, totals, request):
        file.write(line + "\n")
        if is_typed:
            file.flush()
    return totals.summary(scorer.unit, len(scorer.vocabulary))


def _sentences(scorer: Scorer, totals: Totals, request: ScoreRequest) -> Iterator[str]:
    style = Style(request.style, request.tokens, request.log10)
    for scored in _shown(totals.add(scorer.score(read_lines(request.source)))):
        yield from style.lines(scored)


def _nbest(scorer: Scorer, totals: Totals, request: ScoreRequest) -> Iterator[str]:
    read, texts = itertools.tee(read_nbest(request.source))  # apart by a chunk at most
    scores = _shown(totals.add(scorer.score(hypothesis.line for hypothesis in texts)))
    style = Style(request.style, log10=request.log10)
    pairs: Iterator[tuple[Hypothesis, float]] = (
        (hypothesis, style.logarithm(scored.log_prob))
        for hypothesis, scored in zip(read, scores, strict=True)
    )
    yield from reranked(pairs, request.weight, request.best)


def _shown(scored: Iterator[Scored]) -> Iterator[Scored]:
    hidden = None if sys.stderr.isatty() else True
    return iter(tqdm(scored, unit=" sentences", unit_scale=True, disable=hidden, leave=False))
