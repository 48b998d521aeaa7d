"""Reader of the opinion expressions of MPQA in the release of Irsoy & Cardie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datamodules.batching.sentences import Sentence, TaggedCorpus, TaggedSource
from datamodules.files.lines import read_lines
from datamodules.files.paths import OPINIONS, locate
from pipeline.errors import InputError, shortened
from pipeline.text.layout import ColumnLayout
from pipeline.text.tags import count_malformed

NUM_FOLDS = 10
SUBSET = "datasplit/doclist.mpqaOriginalSubset"
LISTS = (
    SUBSET,
    *(f"datasplit/filelist_{part}{k}" for part in ("train", "test") for k in range(NUM_FOLDS)),
)
"""Document lists of the release."""
SENTENCES = "sentenceid.txt"


class MPQA(TaggedSource):
    """Reads the opinion expressions of MPQA, split by one of ten folds.

    Opinion Mining with Deep Recurrent Neural Networks (Irsoy & Cardie 2014), section 5.1: ten folds
    over 400 documents share a development set, the documents of the subset that are in no fold.
    Documents outside the subset are not used. An I that continues no span is kept and counted.

    Args:
        corpus: Name "mpqa", or path of a folder written by `unroll prepare mpqa`: `dse.txt`,
            `ese.txt`, `sentenceid.txt` and the document lists in `datasplit`.
        expressions: Annotation layer: "dse", direct subjective expressions (explicit mentions of an
            opinion), or "ese", expressive subjective elements (words that imply an opinion).
        fold: Index of the fold to test on, 0 to 9.

    Raises:
        InputError: If `fold` is out of range.

    Example:
        >>> source = MPQA(expressions="ese", fold=3)
        >>> source.name, source.num_folds
        ('mpqa-ese', 10)
    """

    num_folds = NUM_FOLDS

    def __init__(
        self, corpus: str = "mpqa", expressions: Literal["dse", "ese"] = "dse", fold: int = 0
    ) -> None:
        if not 0 <= fold < NUM_FOLDS:
            raise InputError(f"fold is {fold}; MPQA has the folds 0 to {NUM_FOLDS - 1}")
        self._corpus, self._expressions, self._fold = corpus, expressions, fold
        self.name = f"{Path(corpus).resolve().name}-{expressions}"

    def read(self) -> TaggedCorpus:
        """See `TaggedSource`."""
        folder = locate(self._corpus, OPINIONS)
        path = folder / f"{self._expressions}.txt"
        label = self._expressions.upper()
        sentences = read_expressions(path, label)
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
            layout=ColumnLayout(0, 2, {"pos": 1}, "tab", "none", "BIO without types", label),
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
                f"the document {both[0]} is in {paths['train']} and in {paths['test']}; remove it "
                "from one of them, since training and test documents must be disjoint"
            )
        if outside := sorted((train | test) - subset):
            raise InputError(
                f"the document {outside[0]} is in {paths['train']} or {paths['test']}, but not in "
                f"{folder / SUBSET}, the list of all documents in use; add it there or remove it"
            )
        valid = subset - train - test
        if not valid:
            raise InputError(
                f"{paths['train']} and {paths['test']} name all documents of {folder / SUBSET}; "
                "remove some from these two, since the others form the development set"
            )
        return {"train": train, "valid": valid, "test": test}

    def _notes(
        self, splits: dict[str, list[Sentence]], lists: dict[str, set[str]], num_documents: int
    ) -> tuple[str, ...]:
        sizes = ", ".join(f"{len(listed)} {split}" for split, listed in lists.items())
        unused = num_documents - sum(map(len, lists.values()))
        notes = [f"fold {self._fold} of {NUM_FOLDS}: {sizes} and {unused} unused documents"]
        malformed = sum(count_malformed(s.tags) for part in splits.values() for s in part)
        if malformed:
            notes.append(f"{malformed} I labels continue no span; each begins a span")
        return tuple(notes)


def read_expressions(path: Path, label: str) -> list[Sentence]:
    """Reads sentences with lines of `token TAB part of speech TAB label`, separated by blank lines.

    `label` is the span type to add to the labels B and I. Parts of speech are the only column.
    Raises `InputError` if the file is missing or contains no sentence, or if a line does not have
    three columns or has a label other than B, I and O.
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
        raise InputError(
            f"{path} contains no sentence; lines of `token TAB part of speech TAB label` are"
            " expected"
        )
    return sentences


def read_documents(path: Path, expressions: Path, num_sentences: int) -> list[str]:
    """Reads the document of each sentence from `<document number> <sentence number> <document>`.

    Raises `InputError` if the file is missing, a line is malformed, or the number of lines differs
    from the number of sentences in the file `expressions`.
    """
    documents: list[str] = []
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split(" ")
        if len(fields) != 3 or not fields[2]:
            raise InputError(
                f"line {number} of {path} is {shortened(line)!r}; "
                "`<document number> <sentence number> <document>`, separated by single "
                "spaces, is expected"
            )
        documents.append(fields[2])
    if len(documents) != num_sentences:
        raise InputError(
            f"{path} has {len(documents):,} lines, but {expressions} has {num_sentences:,} "
            "sentences; use files of the same release, with one line per sentence"
        )
    return documents


def _fields(line: str, tags: dict[str, str], path: Path, number: int) -> Sequence[str]:
    fields = line.split("\t")  # not split(): tokens may contain U+00A0
    if len(fields) != 3 or not all(fields):
        raise InputError(
            f"line {number} of {path} has {len(fields)} columns ({shortened(line)!r}); token, part "
            "of speech and label, separated by TABs and not empty, are expected"
        )
    token, pos, label = fields
    if label not in tags:
        raise InputError(
            f"the label in line {number} of {path} is {shortened(label)!r}; B, I or O is expected"
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
                f"line {number} of {path} names the document {shortened(document)}, which is "
                f"not in {SENTENCES}; use the lists that belong to the corpus"
            )
        if document:
            listed.add(document)
    if not listed:
        raise InputError(f"{path} names no document; one per line is expected")
    return listed


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"no file {path}; a folder written by `unroll prepare mpqa` is expected")
    return [line.rstrip("\r\n") for line in read_lines(path)]
