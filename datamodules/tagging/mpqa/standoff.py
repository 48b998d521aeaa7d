"""Reads a document of MPQA 1.2 or 2.0: its text, and annotations that stand off in GATE's files."""

import re
from pathlib import Path
from typing import NamedTuple

from datamodules.files.lines import read_lines
from pipeline.errors import InputError
from pipeline.text.treebank import Token, tokenise

ANNOTATIONS = "man_anns"
_VERSIONS = ("2.0", "1.2")
_OFFSETS = re.compile(r"\s*(\d+),(\d+)\s*")


class Annotation(NamedTuple):
    """A line of an annotation file.

    Attributes:
        start: of the annotated text in the document, in bytes.
        end: its end, exclusive.
        type: as "GATE_direct-subjective".
    """

    start: int
    end: int
    type: str


class Document(NamedTuple):
    """A document.

    Attributes:
        name: "<parent>/<leaf>".
        size: of its text, in bytes.
        sentences: the tokens of each sentence, with their places in the document in bytes.
        annotations: of all types but sentences.
        notes: what a person should know about how it was read, a sentence each.
    """

    name: str
    size: int
    sentences: list[list[Token]]
    annotations: list[Annotation]
    notes: list[str]


def list_documents(folder: Path, documents: Path | None) -> list[str]:
    """Gives the names of documents.

    Args:
        folder: the distribution, with `docs` and `man_anns`.
        documents: file with the documents to take, in order, one `<parent>/<leaf>` a line; None
            takes all, in order of their names.

    Returns:
        The names, each once.

    Raises:
        InputError: the folder is no distribution of MPQA, there is no such list, it is not
            UTF-8, or it names a document that is not there.
    """
    if not (folder / ANNOTATIONS).is_dir() or not (folder / "docs").is_dir():
        raise InputError(
            f"{folder} has not the folders docs and {ANNOTATIONS}; an unpacked MPQA 1.2 or 2.0 is"
            " expected"
        )
    paths = (path for path in (folder / ANNOTATIONS).glob("*/*") if path.is_dir())
    found = sorted(f"{path.parent.name}/{path.name}" for path in paths)
    return found if documents is None else _read_names(documents, set(found))


def _read_names(path: Path, found: set[str]) -> list[str]:
    if not path.is_file():
        raise InputError(f"no file {path}; a list of documents, one a line, is expected")
    names: dict[str, None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        name = line.strip()
        if name and name not in found:
            raise InputError(
                f"line {number} of {path} names the document {name}, which has no folder in"
                f" {ANNOTATIONS}; take it out, or give the distribution that has it"
            )
        if name:
            names[name] = None
    return list(names)


def read_document(folder: Path, name: str) -> Document:
    """Reads a document.

    Text that is not UTF-8 is read as Latin-1. Lines of another form than `id TAB start,end TAB
    string TAB type` are skipped, and so are sentences that are empty, outside the document, or
    begin before the end of the one before. All of it is noted.

    Args:
        folder: the distribution, with `docs` and `man_anns`.
        name: of the document, "<parent>/<leaf>".

    Returns:
        The document.

    Raises:
        InputError: a file is missing, or none of its lines has the form.
    """
    text = folder / "docs" / name
    if not text.is_file():
        raise InputError(f"no file {text}, the text of the document {name}; unpack all of MPQA")
    raw, notes = text.read_bytes(), list[str]()
    encoding = _encoding(raw)
    if encoding != "utf-8":
        notes.append(f"{name}: the text is not UTF-8; read as Latin-1")
    annotated = folder / ANNOTATIONS / name
    version = _version(annotated)
    annotations = _read_annotations(annotated / f"gateman.mpqa.lre.{version}", name, notes)
    found = _read_annotations(annotated / f"gatesentences.mpqa.{version}", name, notes)
    sentences = [
        tokens
        for sentence in _sound(found, len(raw), name, notes)
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
            f"no file {path}; give the whole distribution, or a list of documents without {name}"
        )
    annotations, odd = [], []
    text = path.read_bytes().decode("latin-1")  # ASCII but for attributes, which are not read
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.rstrip("\r").split("\t")
        offsets = _OFFSETS.fullmatch(fields[1]) if len(fields) >= 4 else None
        if offsets:
            annotations.append(Annotation(int(offsets[1]), int(offsets[2]), fields[3].strip()))
        else:
            odd.append(number)
    if odd and not annotations:
        raise InputError(
            f"line {odd[0]} of {path} is not `id TAB start,end TAB string TAB type`, nor is any"
            " other; the annotations of MPQA 1.2 or 2.0 are expected"
        )
    if odd:
        notes.append(
            f"{name}: {len(odd)} lines of {path.name} have another form and are skipped, the first"
            f" is line {odd[0]}"
        )
    return annotations


def _sound(found: list[Annotation], size: int, name: str, notes: list[str]) -> list[Annotation]:
    """Gives the sentences that can be cut out of the document, in its order."""
    candidates = [line for line in found if line.type == "GATE_sentence"]
    sound: list[Annotation] = []
    for sentence in sorted(candidates, key=lambda line: (line.start, -line.end)):
        free = sound[-1].end if sound else 0
        if free <= sentence.start < sentence.end <= size:
            sound.append(sentence)
    if skipped := len(candidates) - len(sound):
        notes.append(
            f"{name}: {skipped} of {len(candidates)} sentences are empty, outside the document or"
            " overlap another, and are skipped"
        )
    if not sound:
        notes.append(f"{name}: no sentence is left")
    return sound


def _tokens(raw: bytes, sentence: Annotation, encoding: str) -> list[Token]:
    """Cuts a sentence into tokens, with their places in the document in bytes."""
    # offsets may cut a character in two; its bytes are kept until the places are found
    text = raw[sentence.start : sentence.end].decode(encoding, "surrogateescape")
    tokens = []
    for token, start, end in tokenise(text):
        first, last = (
            sentence.start + len(text[:place].encode(encoding, "surrogateescape"))
            for place in (start, end)
        )
        whole = token.encode(encoding, "surrogateescape").decode(encoding, "replace")
        tokens.append(Token(whole, first, last))
    return tokens
