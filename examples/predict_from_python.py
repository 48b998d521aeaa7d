"""Loads trained models, and tags or scores sentences from Python.

    unroll train --config configs/tagging/builtin-bilstm-crf.yaml --run_name=opinions
    python examples/predict_from_python.py tag opinions

    unroll train --config configs/lm/builtin-lstm.yaml --run_name=grammar
    python examples/predict_from_python.py score grammar

The last argument is the name or id of a run, or a checkpoint file.
"""

import sys

from pipeline.checkpoints.read import load_run
from pipeline.contracts import Generator, SentenceTagger
from pipeline.inference.annotation import tag_sentences
from pipeline.inference.scoring import InputLine, Scorer


def tag(name: str) -> None:
    """Prints the spans of two sentences with their confidences."""
    trained = load_run(name, SentenceTagger, "tagger")
    sentences = ["The minister sharply criticized the plan .", "They said nothing ."]
    for tagged in tag_sentences(trained, sentences):
        print(tagged.passage.text)
        for span, confidence in zip(tagged.spans, tagged.confidences, strict=True):
            words = " ".join(token.text for token in tagged.passage.tokens[span.start : span.end])
            print(f"    {span.label} {words} ({confidence:.2f})")


def score(name: str) -> None:
    """Prints the log-probabilities of two sentences and of their tokens."""
    trained = load_run(name, Generator, "a language model")
    lines = [InputLine(1, "the boys laugh"), InputLine(2, "laugh the boys")]
    for scored in Scorer(trained).score(iter(lines)):
        print(f"{scored.log_prob:.2f} {scored.line.text}")
        for token, log_prob in zip(scored.tokens, scored.log_probs, strict=True):
            print(f"    {log_prob:6.2f} {token}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("tag", "score"):
        sys.exit(__doc__)
    {"tag": tag, "score": score}[sys.argv[1]](sys.argv[2])
