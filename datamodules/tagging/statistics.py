"""Digests and statistics of tagged corpora.

They are shown before training, since differing data is a common reason for differing scores.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from datamodules.batching.sentences import Sentence, TaggedCorpus
from datamodules.batching.splits import repeated_rows
from pipeline.errors import shortened
from pipeline.text.tags import are_labels, spans, types_of

_LENGTHS = (1, 2, 3, 4, 5)


def digest(sentences: Sequence[Sentence]) -> str:
    """Computes the sha256 of sentences and their tags, in hexadecimal."""
    summary = hashlib.sha256()
    for sentence in sentences:
        summary.update("\t".join((*sentence.tokens, *sentence.tags, "\n")).encode())
    return summary.hexdigest()


def statistics(sentences: Sequence[Sentence], train_words: set[str]) -> dict[str, int]:
    """Counts sentences, tokens, tokens not in `train_words`, spans and the longest sentence."""
    return {
        "sentences": len(sentences),
        "tokens": sum(len(s.tokens) for s in sentences),
        "unknown": sum(token not in train_words for s in sentences for token in s.tokens),
        "spans": sum(_span_counts(sentences).values()),
        "longest": max((len(s.tokens) for s in sentences), default=0),
    }


def unseen_notes(sentences: Sequence[Sentence], tags: Sequence[str]) -> list[str]:
    """Describes the gold labels, or types of spans, that are not among the `tags` of a model."""
    if are_labels(tags):
        kind, unit, known = "labels", "tokens", set(tags)
        found = Counter(tag for sentence in sentences for tag in sentence.tags)
    else:
        kind, unit, known = "types", "spans", set(types_of(tags))
        found = _span_counts(sentences)
    unseen = {name: count for name, count in sorted(found.items()) if name not in known}
    if not unseen:
        return []
    return [
        f"{sum(unseen.values()):,} of {found.total():,} {unit} have {kind} that never occur in "
        f"training, so no model can predict them: {shortened(', '.join(unseen))}"
    ]


def describe_tagged(corpus: TaggedCorpus, train_words: set[str]) -> str:
    """Describes sizes, unknown words, span types and span lengths of a corpus for printing."""
    lines = [f"tag scheme {corpus.scheme}, converted to BIO" if _has_spans(corpus) else "labels"]
    for split, sentences in corpus.splits.items():
        counts = statistics(sentences, train_words)
        share = counts["unknown"] / max(counts["tokens"], 1)
        lines.append(
            f"{split:<5} {counts['sentences']:>7,} sentences  {counts['tokens']:>9,} tokens  "
            f"({share:.1%} of them not in train)  longest {counts['longest']}"
            + _spans_of(sentences)
        )
    tokens = {split: [s.tokens for s in sentences] for split, sentences in corpus.splits.items()}
    repeated = chain.from_iterable(repeated_rows(tokens, "sentences").values())
    lines += [f"note: {note}" for note in (*corpus.notes, *corpus.held_out.values(), *repeated)]
    return "\n".join(lines)


def _has_spans(corpus: TaggedCorpus) -> bool:
    return not are_labels({tag for s in corpus.splits["train"] for tag in s.tags})


def _spans_of(sentences: Sequence[Sentence]) -> str:
    counts = _span_counts(sentences)
    if not counts:
        return ""
    types = ", ".join(f"{label} {count:,}" for label, count in sorted(counts.items()))
    lengths = Counter(span.end - span.start for s in sentences for span in spans(s.tags))
    total = sum(lengths.values())
    shares = ", ".join(f"{length}: {lengths[length] / total:.0%}" for length in _LENGTHS)
    longer = sum(count for length, count in lengths.items() if length > _LENGTHS[-1]) / total
    return f"\n      spans {types}; lengths {shares}, longer: {longer:.0%}"


def _span_counts(sentences: Sequence[Sentence]) -> Counter[str]:
    if are_labels({tag for s in sentences for tag in s.tags}):
        return Counter()
    return Counter(span.label for s in sentences for span in spans(s.tags))
