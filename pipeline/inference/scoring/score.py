"""`unroll score`: scores a text file with a trained language model, in constant RAM."""

import gc
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import Trained, load_trained
from pipeline.console import open_output, print_note, progress
from pipeline.contracts import Generator
from pipeline.inference.scoring.nbest import Hypothesis, read_nbest, rerank
from pipeline.inference.scoring.output_formats import ScoreFormat
from pipeline.inference.scoring.scorer import Scorer, Totals
from pipeline.inference.scoring.sentence_files import read_lines
from pipeline.mixtures import load_arpa
from pipeline.options import STANDARD_INPUT, ScoreRequest
from pipeline.process import configure_process
from pipeline.text.vocabulary import UNK


def score(
    run: str | None,
    checkpoint: Path | None,
    output: Path | None,
    request: ScoreRequest,
    arpa: Path | None = None,
) -> int:
    """Writes the scores of each sentence or the re-ranked n-best lists, and prints the totals.

    The model is that of a run, a checkpoint or an ARPA file. Standard output is written if `output`
    is None. Returns the exit code.
    """
    configure_process()
    if arpa is not None:
        trained = load_arpa(arpa)
    else:
        trained = load_trained(locate(run, checkpoint), Generator, "a language model")
    with open_output(output) as file:
        print_note(score_text(trained, request, file))
    return 0


def score_text(trained: Trained, request: ScoreRequest, file: TextIO) -> str:
    """Scores a text file, and returns a note with the totals over the whole text."""
    gc.freeze()  # otherwise the garbage collector examines the whole model for each chunk
    is_interactive = request.source == STANDARD_INPUT and sys.stdin.isatty()
    scorer, totals = Scorer(trained, request.stream, is_interactive), Totals()
    output_lines = _reranked_lines if request.nbest else _sentence_lines
    for line in progress(output_lines(scorer, totals, request), "lines", file):
        file.write(line + "\n")
        if is_interactive:
            file.flush()
    summary = totals.summary(scorer.unit, len(scorer.vocabulary))
    if scorer.num_marked:
        marked = f"{scorer.num_marked:,} sentence{'s' * (scorer.num_marked != 1)}"
        summary += f"\nnote: <s> and </s> around {marked} are left out"
    if totals.num_unknown and not scorer.vocabulary.has_counted(UNK):
        summary += (
            f"\nnote: the training text has no {UNK}, so that its probability was not estimated; "
            f"compare models by the perplexity excluding unknown {scorer.unit}s"
        )
    return summary


def _sentence_lines(scorer: Scorer, totals: Totals, request: ScoreRequest) -> Iterator[str]:
    output_format = ScoreFormat(request.style, request.tokens, request.log10)
    lines = read_lines(request.source, in_pieces=True)
    yield from output_format.rows(totals.add(scorer.score(lines)))


def _reranked_lines(scorer: Scorer, totals: Totals, request: ScoreRequest) -> Iterator[str]:
    # The two iterators are at most one chunk of the scorer apart.
    hypotheses, texts = itertools.tee(read_nbest(request.source))
    scores = totals.add(scorer.score(hypothesis.line for hypothesis in texts))
    output_format = ScoreFormat(request.style, log10=request.log10)
    pairs: Iterator[tuple[Hypothesis, float]] = (
        (hypothesis, output_format.logarithm(scored.log_prob))
        for hypothesis, scored in zip(hypotheses, scores, strict=True)
    )
    yield from rerank(pairs, request.weight, request.best)
