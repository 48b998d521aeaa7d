"""Conversion of the original MPQA corpus with stand-off annotations to column files."""

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
_OF_KEPT = {"cut": "cut at the end of a sentence", "widened": "extended to whole tokens"}


class ConversionReport(NamedTuple):
    """Summary of a conversion; `str()` formats it for printing.

    `spans` contains, for "dse" and "ese", the number of annotated spans by outcome: "kept" and the
    reasons for skipping a span; "cut" and "widened" count kept spans that were changed.
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
    """Converts an MPQA 1.2 or 2.0 distribution to the files that `MPQA` reads.

    Sentences are those of the distribution; tokens are those of `tokenize`. A span contains all
    tokens that it overlaps, up to the end of the sentence. If spans overlap, the one that begins
    first is kept, and of those the longest. Empty spans (implicit expressions), spans outside the
    document and spans without a token of a sentence are skipped.

    The distribution contains neither parts of speech (their column is "_") nor folds. If the folder
    contains `datasplit` with the lists of the public release, they are copied. Otherwise the
    documents of `doclist.mpqaOriginalSubset` (all documents if there is no such file) are shuffled;
    a quarter forms the development set, the others ten folds.

    The file `documents` lists the documents to convert as in `list_documents`. The returned summary
    is also written to `conversion.txt`. Raises `InputError` if the folder is not an MPQA
    distribution, a file is malformed, a listed document is missing, no span remains or the
    destination contains a corpus.
    """
    for name in (*(f"{name}.txt" for name in EXPRESSIONS), SENTENCES, "datasplit"):
        if (destination / name).exists():
            raise InputError(
                f"{destination} already contains a corpus ({name}); move it away or choose another"
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
            f"{folder} has no annotation of type {' or '.join(EXPRESSIONS.values())} in a sentence;"
            " an unpacked MPQA 1.2 or 2.0 is expected (3.0 uses other type names)"
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
    """Converts the annotations of a type, such as "GATE_direct-subjective", to labels B, I and O.

    `counts` of outcomes is updated, as in `ConversionReport.spans`. Returns one list per sentence.
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
        return "empty"
    if not span.start < span.end <= size:
        return "outside the document"
    if not labels:
        return "no token of a sentence"
    return "overlaps another span" if any(label != "O" for label in labels) else None


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
        f'the part-of-speech column is "{NO_POS}" everywhere: the distribution has none',
        note,
        *(line for document in converted for line in document.notes),
    ]
    tokens = sum(map(len, sentences))
    return ConversionReport(folder, len(converted), len(sentences), tokens, spans, tuple(notes))


def _write_lists(folder: Path, converted: Sequence[Document], new: Path) -> str:
    """Writes the document lists of folds to `datasplit`; returns a note about them."""
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
            f"{len(subset)} documents are too few for a development set and {NUM_FOLDS} folds;"
            " without datasplit the corpus cannot be used for training"
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
        f"{len(folded)} documents were divided into {NUM_FOLDS} folds with seed {_SEED}, and"
        f" {num_developed} form the development set; published scores use other folds"
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
                    f"{path} names the document {document}, which was not converted; use lists"
                    " that belong to the corpus"
                )
        shutil.copyfile(path, new / name)
    return f"the folds were copied from {folder / 'datasplit'}"
