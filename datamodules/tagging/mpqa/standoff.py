"""Reader of original MPQA 1.2 and 2.0 documents: text with stand-off annotations.

The annotations refer to byte offsets of the text. GATE is the program with which they were made;
the names of files and annotation types contain its name.
"""

import re
from pathlib import Path
from typing import NamedTuple

from datamodules.files.lines import read_lines
from pipeline.errors import InputError, shortened
from pipeline.text.treebank import Token, tokenize

ANNOTATIONS = "man_anns"
_VERSIONS = ("2.0", "1.2")
_OFFSETS = re.compile(r"\s*(\d{1,18}),(\d{1,18})\s*")


class Annotation(NamedTuple):
    """An annotation of a part of a document."""

    start: int  # offset of its first byte in the document
    end: int  # offset after its last byte
    type: str  # such as "GATE_direct-subjective"


class Document(NamedTuple):
    """A tokenized document with its annotations."""

    name: str  # "<parent>/<leaf>"
    size: int  # of the text in bytes
    sentences: list[list[Token]]  # tokens with byte offsets in the document
    annotations: list[Annotation]  # of all types except sentences
    notes: list[str]  # problems found while reading, one sentence each


def list_documents(folder: Path, documents: Path | None) -> list[str]:
    """Returns the distinct documents of a distribution, a folder with `docs` and `man_anns`.

    They are those that the file `documents` lists, one `<parent>/<leaf>` per line, or if it is None
    all in alphabetical order. Raises `InputError` if the folder is not an MPQA distribution, or if
    the list is missing, is not UTF-8 or names a document that does not exist.
    """
    if not (folder / ANNOTATIONS).is_dir() or not (folder / "docs").is_dir():
        raise InputError(
            f"{folder} does not contain the folders docs and {ANNOTATIONS}; an unpacked MPQA 1.2 or"
            " 2.0 is expected"
        )
    paths = (path for path in (folder / ANNOTATIONS).glob("*/*") if path.is_dir())
    found = sorted(f"{path.parent.name}/{path.name}" for path in paths)
    return found if documents is None else _read_names(documents, set(found))


def _read_names(path: Path, found: set[str]) -> list[str]:
    if not path.is_file():
        raise InputError(f"no file {path}; a list with one document name per line is expected")
    names: dict[str, None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        name = line.strip()
        if name and name not in found:
            raise InputError(
                f"line {number} of {path} names the document {shortened(name)}, which has no"
                f" folder in {ANNOTATIONS}; remove the line, or use the distribution with this"
                " document"
            )
        if name:
            names[name] = None
    return list(names)


def read_document(folder: Path, name: str) -> Document:
    """Reads a document, named "<parent>/<leaf>", and its annotations.

    Text that is not UTF-8 is read as Latin-1. Annotation lines that are not of the form `id TAB
    start,end TAB string TAB type` are skipped, and so are sentences that are empty, outside the
    document or overlap the previous one. Each case adds a note. Raises `InputError` if a file is
    missing or none of its lines has the expected form.
    """
    text = folder / "docs" / name
    if not text.is_file():
        raise InputError(
            f"no file {text}, the text of the document {name}; unpack the whole distribution"
        )
    raw, notes = text.read_bytes(), list[str]()
    encoding = _encoding(raw)
    if encoding != "utf-8":
        notes.append(f"{name}: the text is not UTF-8 and was read as Latin-1")
    annotated = folder / ANNOTATIONS / name
    version = _version(annotated)
    annotations = _read_annotations(annotated / f"gateman.mpqa.lre.{version}", name, notes)
    found = _read_annotations(annotated / f"gatesentences.mpqa.{version}", name, notes)
    sentences = [
        tokens
        for sentence in _valid_sentences(found, len(raw), name, notes)
        if (tokens := _tokens(raw, sentence, encoding))
    ]
    return Document(name, len(raw), sentences, annotations, notes)


def _encoding(raw: bytes) -> str:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _version(folder: Path) -> str:
    for version in _VERSIONS:
        if (folder / f"gateman.mpqa.lre.{version}").is_file():
            return version
    raise InputError(
        f"{folder} has no gateman.mpqa.lre.{' or .'.join(_VERSIONS)}; the annotations of MPQA 1.2"
        " or 2.0 are expected there"
    )


def _read_annotations(path: Path, name: str, notes: list[str]) -> list[Annotation]:
    if not path.is_file():
        raise InputError(
            f"no file {path}; use the whole distribution, or a list of documents without {name}"
        )
    annotations, malformed = [], []
    text = path.read_bytes().decode("latin-1")  # non-ASCII bytes occur in unused fields only
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.rstrip("\r").split("\t")
        offsets = _OFFSETS.fullmatch(fields[1]) if len(fields) >= 4 else None
        if offsets:
            annotations.append(Annotation(int(offsets[1]), int(offsets[2]), fields[3].strip()))
        else:
            malformed.append(number)
    if malformed and not annotations:
        raise InputError(
            f"no line of {path} has the form `id TAB start,end TAB string TAB type` (the first "
            f"other line is {malformed[0]}); expected an annotation file of MPQA 1.2 or 2.0"
        )
    if malformed:
        notes.append(
            f"{name}: {len(malformed)} malformed lines of {path.name} were skipped (the first is"
            f" line {malformed[0]})"
        )
    return annotations


def _valid_sentences(
    found: list[Annotation], size: int, name: str, notes: list[str]
) -> list[Annotation]:
    """Returns the valid sentences in document order."""
    candidates = [line for line in found if line.type == "GATE_sentence"]
    valid: list[Annotation] = []
    for sentence in sorted(candidates, key=lambda line: (line.start, -line.end)):
        free = valid[-1].end if valid else 0
        if free <= sentence.start < sentence.end <= size:
            valid.append(sentence)
    if skipped := len(candidates) - len(valid):
        notes.append(
            f"{name}: skipped {skipped} of {len(candidates)} sentences that are empty, outside the"
            " document or overlap another one"
        )
    if not valid:
        notes.append(f"{name}: no valid sentence")
    return valid


def _tokens(raw: bytes, sentence: Annotation, encoding: str) -> list[Token]:
    """Tokenizes a sentence and computes byte offsets in the document."""
    # an offset may lie inside a character; surrogates keep its bytes until offsets are computed
    text = raw[sentence.start : sentence.end].decode(encoding, "surrogateescape")
    tokens = []
    for token, start, end in tokenize(text):
        first, last = (
            sentence.start + len(text[:place].encode(encoding, "surrogateescape"))
            for place in (start, end)
        )
        whole = token.encode(encoding, "surrogateescape").decode(encoding, "replace")
        tokens.append(Token(whole, first, last))
    return tokens
