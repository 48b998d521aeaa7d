"""Imports opinion expressions from the original MPQA corpus, whose annotations stand off."""

import itertools
import os
import shutil
import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from datamodules.files.lines import read_lines
from datamodules.tagging.mpqa.released import LISTS, NUM_FOLDS, SENTENCES, SUBSET
from datamodules.tagging.mpqa.standoff import Annotation, Document, list_documents, read_document
from pipeline.errors import InputError

EXPRESSIONS = {"dse": "GATE_direct-subjective", "ese": "GATE_expressive-subjectivity"}
NO_POS = "_"
_SEED = 1
_OF_KEPT = {"cut": "cut at the end of a sentence", "widened": "widened to whole tokens"}


class ConversionReport(NamedTuple):
    """What `convert` did; as a string it is for a person.

    Attributes:
        folder: the new corpus.
        documents: how many it has.
        sentences: how many it has.
        tokens: how many it has.
        spans: "dse" and "ese" -> what became of the annotated spans -> how many: "kept", or the
            reason why they were skipped. "cut" and "widened" count some of the kept ones again.
        notes: what else a person should know, a sentence each.
    """

    folder: Path
    documents: int
    sentences: int
    tokens: int
    spans: dict[str, Counter[str]]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"mpqa in {self.folder}, converted",
            f"  {self.documents:,} documents, {self.sentences:,} sentences, {self.tokens:,} tokens",
        ]
        for expressions, counts in self.spans.items():
            kept = ", ".join(f"{counts[key]:,} {words}" for key, words in _OF_KEPT.items())
            lines.append(f"  {expressions}: {counts['kept']:,} spans kept ({kept})")
            lines += [
                f"    {count:,} skipped: {reason}"
                for reason, count in sorted(counts.items())
                if reason not in ("kept", *_OF_KEPT)
            ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def convert(folder: Path, destination: Path, documents: Path | None = None) -> ConversionReport:
    """Makes a corpus that `MPQA` reads out of an MPQA 1.2 or 2.0 distribution.

    Sentences are those of the distribution, tokens those of `tokenise`. A span holds the tokens
    that it touches. One that goes on into the next sentence is cut. Of spans that overlap, the one
    that begins first is kept, of those the longest. Spans without length (implicit ones), outside
    the document or without a token of a sentence are skipped.

    The distribution has no parts of speech: their column holds "_" throughout. It has no folds
    either. Where the folder has a `datasplit` with the lists of the public release, those are
    copied; else folds are made: of the documents in `doclist.mpqaOriginalSubset` (of all, where
    there is no such file), shuffled, a quarter develops and the others are dealt out to ten folds.

    The report is also written, to `conversion.txt`.

    Args:
        folder: the distribution, with `docs` and `man_anns`.
        destination: folder for `dse.txt`, `ese.txt`, `sentenceid.txt` and `datasplit`, made if need
            be.
        documents: file with the documents to take, in order, one `<parent>/<leaf>` a line; None
            takes all, in order of their names.

    Returns:
        What was done.

    Raises:
        InputError: the folder or a file in it is none of MPQA 1.2 or 2.0, a listed document is
            missing, no span is left, or the destination holds a corpus.
    """
    for name in (*_files(), SENTENCES, "datasplit"):
        if (destination / name).exists():
            raise InputError(
                f"{destination} holds a corpus already ({name}); move it away, or choose another"
                " folder"
            )
    converted = [read_document(folder, name) for name in list_documents(folder, documents)]
    spans = {expressions: Counter[str]() for expressions in EXPRESSIONS}
    tags = {
        expressions: [
            row
            for document in converted
            for row in tag_sentences(document, EXPRESSIONS[expressions], spans[expressions])
        ]
        for expressions in EXPRESSIONS
    }
    if not any(counts["kept"] for counts in spans.values()):
        raise InputError(
            f"{folder} has no span of type {' or '.join(EXPRESSIONS.values())} in a sentence; an"
            " unpacked MPQA 1.2 or 2.0 is expected (3.0 spells types otherwise)"
        )
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination, prefix=".") as temporary:
        new = Path(temporary)
        _write(converted, tags, new)
        report = _report(converted, spans, destination, _write_lists(folder, converted, new))
        (new / "conversion.txt").write_text(f"{report}\n", encoding="utf-8")
        for path in sorted(new.iterdir()):
            os.replace(path, destination / path.name)
    return report


def tag_sentences(document: Document, type_: str, counts: Counter[str]) -> list[list[str]]:
    """Writes the annotations of one type as B, I and O.

    Args:
        document: the document.
        type_: of the annotations, as "GATE_direct-subjective".
        counts: counts here what became of them; see `ConversionReport.spans`.

    Returns:
        The label of each token of each sentence.
    """
    tokens = [token for sentence in document.sentences for token in sentence]
    starts, ends = [token.start for token in tokens], [token.end for token in tokens]
    bounds = [0, *itertools.accumulate(map(len, document.sentences))]
    labels = ["O"] * len(tokens)
    annotations = [line for line in document.annotations if line.type == type_]
    for span in sorted(annotations, key=lambda span: (span.start, -span.end)):
        first, last = bisect_right(ends, span.start), bisect_left(starts, span.end)
        stop = min(last, bounds[min(bisect_right(bounds, first), len(bounds) - 1)])
        if problem := _problem(span, document.size, labels[first:stop]):
            counts[problem] += 1
            continue
        labels[first:stop] = ["B", *["I"] * (stop - first - 1)]
        counts["kept"] += 1
        counts["cut"] += stop < last
        counts["widened"] += starts[first] < span.start or span.end < ends[stop - 1]
    return [labels[start:end] for start, end in itertools.pairwise(bounds)]


def _problem(span: Annotation, size: int, labels: Sequence[str]) -> str | None:
    if span.start == span.end:
        return "without length"
    if not span.start < span.end <= size:
        return "outside the document"
    if not labels:
        return "without a token of a sentence"
    return "overlaps another" if any(label != "O" for label in labels) else None


def _files() -> list[str]:
    return [f"{expressions}.txt" for expressions in EXPRESSIONS]


def _write(converted: Sequence[Document], tags: dict[str, list[list[str]]], folder: Path) -> None:
    sentences = [sentence for document in converted for sentence in document.sentences]
    for expressions, rows in tags.items():
        with (folder / f"{expressions}.txt").open("w", encoding="utf-8", newline="\n") as file:
            for sentence, labels in zip(sentences, rows, strict=True):
                file.writelines(
                    f"{token.text}\t{NO_POS}\t{label}\n"
                    for token, label in zip(sentence, labels, strict=True)
                )
                file.write("\n")
    with (folder / SENTENCES).open("w", encoding="utf-8", newline="\n") as file:
        for number, document in enumerate(converted):
            file.writelines(
                f"{number} {i} {document.name}\n" for i in range(len(document.sentences))
            )


def _report(
    converted: Sequence[Document], spans: dict[str, Counter[str]], folder: Path, note: str
) -> ConversionReport:
    sentences = [sentence for document in converted for sentence in document.sentences]
    notes = [
        f'the column of parts of speech holds "{NO_POS}" throughout: the distribution has none',
        note,
        *(line for document in converted for line in document.notes),
    ]
    tokens = sum(map(len, sentences))
    return ConversionReport(folder, len(converted), len(sentences), tokens, spans, tuple(notes))


def _write_lists(folder: Path, converted: Sequence[Document], new: Path) -> str:
    """Writes the documents of folds to `datasplit`; returns what to tell a person."""
    names = [document.name for document in converted if document.sentences]
    listed = folder / Path(SUBSET).name
    if (folder / "datasplit").is_dir():
        return _copy_lists(folder, names, new)
    subset = names
    if listed.is_file():
        wanted = {line.strip() for line in read_lines(listed)}
        subset = [name for name in names if name in wanted]
    num_developed = len(subset) // 4
    if len(subset) - num_developed < NUM_FOLDS:
        return (
            f"{len(subset)} documents are too few for a development set and {NUM_FOLDS} folds, so"
            " there is no datasplit, without which MPQA cannot be trained on"
        )
    order = Random(_SEED).sample(sorted(subset), len(subset))  # noqa: S311 - not for secrets
    folded = order[num_developed:]
    lists = {Path(SUBSET).name: subset}
    for fold in range(NUM_FOLDS):
        test = set(folded[fold::NUM_FOLDS])
        lists[f"filelist_test{fold}"] = sorted(test)
        lists[f"filelist_train{fold}"] = sorted(set(folded) - test)
    (new / "datasplit").mkdir()
    for name, documents in lists.items():
        path = new / "datasplit" / name
        path.write_text("".join(f"{d}\n" for d in documents), encoding="utf-8", newline="\n")
    return (
        f"{NUM_FOLDS} folds were made with seed {_SEED} from {len(folded)} documents, and"
        f" {num_developed} documents develop; these are not the folds of the published scores"
    )


def _copy_lists(folder: Path, names: Sequence[str], new: Path) -> str:
    known = set(names)
    (new / "datasplit").mkdir()
    for name in LISTS:
        path = folder / name
        if not path.is_file():
            raise InputError(f"no file {path}; all {len(LISTS)} lists of the release are expected")
        for line in read_lines(path):
            document = line.strip()
            if document and document not in known:
                raise InputError(
                    f"{path} names the document {document}, which was not converted; give lists"
                    " that belong to the corpus"
                )
        shutil.copyfile(path, new / name)
    return f"the folds are those of {folder / 'datasplit'}"
