"""Reads the opinion expressions of MPQA as Irsoy & Cardie released them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datamodules.batching.sentences import Sentence, Source, TaggedCorpus
from datamodules.files.lines import read_lines
from datamodules.files.paths import OPINIONS, locate
from pipeline.errors import InputError
from pipeline.text.tags import count_malformed

NUM_FOLDS = 10
SUBSET = "datasplit/doclist.mpqaOriginalSubset"
LISTS = (
    SUBSET,
    *(f"datasplit/filelist_{part}{k}" for part in ("train", "test") for k in range(NUM_FOLDS)),
)
"""The document lists of the release."""
SENTENCES = "sentenceid.txt"


class MPQA(Source):
    """Reads the opinion expressions of MPQA, one fold at a time.

    Opinion Mining with Deep Recurrent Neural Networks (Irsoy & Cardie 2014), section 5.1: ten folds
    over 400 documents, and a development set that all of them share: the documents of the subset
    that are neither trained on nor tested. Documents outside the subset are not used. An I that
    goes on with nothing is kept and counted.

    Args:
        corpus: "mpqa" or the path of a folder, with `dse.txt`, `ese.txt`, `sentenceid.txt` and the
            document lists in `datasplit`, as `unroll prepare mpqa` leaves it.
        expressions: "dse", direct subjective expressions (explicit mentions of an opinion), or
            "ese", expressive subjective elements (words that give an opinion away).
        fold: which documents are tested, 0 to 9.

    Raises:
        InputError: there is no such fold.
    """

    num_folds = NUM_FOLDS

    def __init__(
        self, corpus: str = "mpqa", expressions: Literal["dse", "ese"] = "dse", fold: int = 0
    ) -> None:
        if not 0 <= fold < NUM_FOLDS:
            raise InputError(f"fold is {fold}; the {NUM_FOLDS} folds of MPQA are 0 to 9")
        self._corpus, self._expressions, self._fold = corpus, expressions, fold
        self.name = f"{Path(corpus).resolve().name}-{expressions}"

    def read(self) -> TaggedCorpus:
        """See `Source`."""
        folder = locate(self._corpus, OPINIONS)
        path = folder / f"{self._expressions}.txt"
        sentences = read_expressions(path, self._expressions.upper())
        documents = read_documents(folder / SENTENCES, path, len(sentences))
        lists = self._read_lists(folder, set(documents))
        splits = {
            split: [s for s, d in zip(sentences, documents, strict=True) if d in listed]
            for split, listed in lists.items()
        }
        return TaggedCorpus(
            splits,
            dict.fromkeys(splits, path),
            column_names=("pos",),
            scheme="BIO without types",
            notes=self._notes(splits, lists, len(set(documents))),
        )

    def _read_lists(self, folder: Path, known: set[str]) -> dict[str, set[str]]:
        paths = {
            split: folder / "datasplit" / f"filelist_{split}{self._fold}"
            for split in ("train", "test")
        }
        subset, train, test = (
            _read_list(path, known) for path in (folder / SUBSET, paths["train"], paths["test"])
        )
        if both := sorted(train & test):
            raise InputError(
                f"the document {both[0]} is in {paths['train']} and in {paths['test']}; a fold "
                "tests only documents that it does not train on: take it out of one of them"
            )
        if outside := sorted((train | test) - subset):
            raise InputError(
                f"the document {outside[0]} is in {paths['train']} or {paths['test']}, but not in "
                f"{folder / SUBSET}, which lists all that is used; add it there or take it out"
            )
        valid = subset - train - test
        if not valid:
            raise InputError(
                f"{paths['train']} and {paths['test']} name all documents of {folder / SUBSET}; "
                "those that they leave over are the development set: take some out"
            )
        return {"train": train, "valid": valid, "test": test}

    def _notes(
        self, splits: dict[str, list[Sentence]], lists: dict[str, set[str]], num_documents: int
    ) -> tuple[str, ...]:
        sizes = ", ".join(f"{len(listed)} {split}" for split, listed in lists.items())
        unused = num_documents - sum(map(len, lists.values()))
        notes = [f"fold {self._fold} of {NUM_FOLDS}: documents {sizes}, {unused} not used"]
        malformed = sum(count_malformed(s.tags) for part in splits.values() for s in part)
        if malformed:
            notes.append(f"{malformed} I labels go on with nothing; each is read as a beginning")
        return tuple(notes)


def read_expressions(path: Path, label: str) -> list[Sentence]:
    """Reads sentences of `token TAB part of speech TAB label`, with a blank line after each.

    Args:
        path: the file.
        label: type of the spans; the file's B and I have none.

    Returns:
        The sentences, with the parts of speech as their column.

    Raises:
        InputError: a line has not three columns, or another label than B, I and O; there is no
            sentence, or no file.
    """
    tags = {"O": "O", "B": f"B-{label}", "I": f"I-{label}"}
    sentences: list[Sentence] = []
    rows: list[Sequence[str]] = []
    for number, line in enumerate(_lines(path), start=1):
        if line:
            rows.append(_fields(line, tags, path, number))
        elif rows:
            sentences.append(_sentence(rows))
            rows = []
    if rows:
        sentences.append(_sentence(rows))
    if not sentences:
        raise InputError(f"{path} holds no sentence; `token TAB part of speech TAB label` a line")
    return sentences


def read_documents(path: Path, expressions: Path, num_sentences: int) -> list[str]:
    """Reads which document each sentence is from.

    Args:
        path: the file, a line `<document number> <sentence number> <document>` per sentence.
        expressions: the file of the sentences, for messages.
        num_sentences: how many those are.

    Returns:
        The document of each sentence.

    Raises:
        InputError: a line has another form, the lines are not as many as the sentences, or there is
            no file.
    """
    documents: list[str] = []
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split(" ")
        if len(fields) != 3 or not fields[2]:
            raise InputError(
                f"line {number} of {path} is {line!r}; `<document number> <sentence number> "
                "<document>`, one space between them, is expected"
            )
        documents.append(fields[2])
    if len(documents) != num_sentences:
        raise InputError(
            f"{path} has {len(documents):,} lines, and {expressions} {num_sentences:,} sentences; "
            "one line for each sentence is expected: take both files from the same release"
        )
    return documents


def _fields(line: str, tags: dict[str, str], path: Path, number: int) -> Sequence[str]:
    fields = line.split("\t")  # never white space: tokens may hold U+00A0
    if len(fields) != 3 or not all(fields):
        raise InputError(
            f"line {number} of {path} has {len(fields)} columns ({line!r}); token, part of speech "
            "and label with one TAB between them are expected"
        )
    token, pos, label = fields
    if label not in tags:
        raise InputError(
            f"the label in line {number} of {path} is {label!r}; B, I or O is expected"
        )
    return token, pos, tags[label]


def _sentence(rows: list[Sequence[str]]) -> Sentence:
    tokens, pos, tags = (tuple(column) for column in zip(*rows, strict=True))
    return Sentence(tokens, tags, (pos,))


def _read_list(path: Path, known: set[str]) -> set[str]:
    listed: set[str] = set()
    for number, line in enumerate(_lines(path), start=1):
        document = line.strip()
        if document and document not in known:
            raise InputError(
                f"line {number} of {path} names the document {document}, which {SENTENCES} does "
                "not hold; give the lists that belong to the corpus"
            )
        if document:
            listed.add(document)
    if not listed:
        raise InputError(f"{path} names no document; one a line is expected")
    return listed


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(
            f"no file {path}; the folder of an MPQA corpus as `unroll prepare mpqa` makes it is "
            "expected"
        )
    return [line.rstrip("\r\n") for line in read_lines(path)]
