"""Tagged corpora in column files, like those of the CoNLL shared tasks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

from datamodules.batching.sentences import Sentence, TaggedCorpus, TaggedSource
from datamodules.files.paths import SPLITS, TAGGED, find_tagged_files, find_test_file, locate
from datamodules.tagging.column_file import ColumnFile, Separator, read_column_file
from pipeline.errors import InputError, shortened
from pipeline.text.tags import (
    Scheme,
    are_labels,
    count_malformed,
    detect_scheme,
    split_tag,
    to_bio,
    types_of,
)


class Columns(TaggedSource):
    r"""Reads a folder of column files with one token and its tag per line.

    Sentences are separated by blank lines. Tags of any scheme are converted to BIO; an I that
    continues no span is kept and counted. `scheme="none"` reads labels, such as parts of speech,
    and leaves them unchanged.

    Args:
        corpus: Name of a corpus, such as "conll2003", or path of a folder.
        token: Index of the token column, from 0; -1 is the last column.
        tag: Index of the tag column.
        features: Name and index of each additional column to read, such as `{pos: 1}`.
        separator: Column separator; "auto" selects TAB if the first line contains one, else exactly
            one space.
        scheme: Tag scheme of the files; "auto" detects it in the training sentences, "none" reads
            labels.
        default_type: Span type for tags without a type (B, I and O alone).
        files: File name of each split; by default `<split>.*`, `*.<split>` or the CoNLL names.
        valid_fraction: Fraction of the training sentences, taken from the end, that is used for
            validation if the folder contains no validation file.

    Attributes:
        name: Name of the folder.

    Raises:
        InputError: If `default_type` is empty or `valid_fraction` is not between 0 and 1.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for split in ("train", "valid", "test"):
        ...         _ = pathlib.Path(folder, f"{split}.txt").write_text("EU I-ORG\nrejects O\n")
        ...     Columns(folder).read().splits["test"]
        [Sentence(tokens=('EU', 'rejects'), tags=('B-ORG', 'O'), columns=())]
    """

    def __init__(
        self,
        corpus: str,
        token: int = 0,
        tag: int = -1,
        features: dict[str, int] | None = None,
        separator: Separator = "auto",
        scheme: Scheme | Literal["auto", "none"] = "auto",
        default_type: str = "span",
        files: dict[str, str] | None = None,
        valid_fraction: float = 0.1,
    ) -> None:
        if not default_type:
            raise InputError("default_type is empty; the name of a span type is expected")
        if not 0 < valid_fraction < 1:
            raise InputError(
                f"valid_fraction is {valid_fraction}; a fraction of the training sentences between"
                " 0 and 1 is expected"
            )
        self.name = Path(corpus).resolve().name
        self._corpus, self._files, self._valid_fraction = corpus, files, valid_fraction
        self._token, self._tag, self._features = token, tag, dict(features or {})
        self._separator, self._scheme, self._default_type = separator, scheme, default_type

    def read(self) -> TaggedCorpus:
        """See `TaggedSource`."""
        paths = find_tagged_files(locate(self._corpus, TAGGED), self._files)
        files = {split: read_column_file(path, self._separator) for split, path in paths.items()}
        for file in files.values():
            self._check_columns(file, files["train"])
        splits = {split: self._sentences(file) for split, file in files.items()}
        notes = _document_notes(files.values())
        if self._scheme == "none":
            scheme = "labels"
            self._check_labels(files["train"], splits["train"])
        else:
            scheme, splits = self._in_bio(self._scheme, files, splits)
        held_out = {}
        if "valid" not in splits:
            splits, held_out["valid"] = self._hold_out(paths["train"], splits)
        notes += _tag_notes(splits, paths["train"])
        return TaggedCorpus(
            splits,
            {split: paths.get(split, paths["train"]) for split in SPLITS},
            tuple(self._features),
            scheme,
            tuple(notes),
            held_out,
        )

    def read_other(self, path: Path, scheme: str) -> TaggedCorpus:
        """See `TaggedSource`; tags are read in the scheme of the corpus unless one was given."""
        if path.is_dir():
            path = find_test_file(path, self._files)
        elif not path.is_file():
            raise InputError(f"no file or folder {path}; tagged sentences are expected")
        file = read_column_file(path, self._separator)
        self._check_columns(file, file)
        sentences = self._sentences(file)
        if scheme == "labels":
            self._check_labels(file, sentences)
        else:
            given = self._scheme
            written = cast(Scheme, scheme) if given in ("auto", "none") else cast(Scheme, given)
            _, parts = self._in_bio(written, {"train": file}, {"train": sentences})
            sentences = parts["train"]
        notes = tuple(_document_notes([file]))
        return TaggedCorpus({"test": sentences}, {"test": path}, (*self._features,), scheme, notes)

    def _check_columns(self, file: ColumnFile, train: ColumnFile) -> None:
        where = f"line {file.blocks[0].line} of {file.path}"
        if file.width != train.width:
            raise InputError(
                f"{where} has {file.width} columns, but {train.path} has {train.width}; use the"
                " same columns in all files"
            )
        for name, number in (("token", self._token), ("tag", self._tag), *self._features.items()):
            if not -file.width <= number < file.width:
                raise InputError(
                    f"{where} has {file.width} columns, so {name}={number} is not a column; an"
                    f" index from {-file.width} to {file.width - 1} is expected"
                )

    def _sentences(self, file: ColumnFile) -> list[Sentence]:
        """Selects the configured columns; tags are not converted."""
        numbers = (self._token, self._tag, *self._features.values())
        sentences = []
        for block in file.blocks:
            columns = [tuple(row[number] for row in block.rows) for number in numbers]
            for number, column in zip(numbers, columns, strict=True):
                if "" in column:
                    raise InputError(
                        f"column {number} is empty in line {block.line + column.index('')} of"
                        f" {file.path}; a value is expected (check for a doubled separator)"
                    )
            sentences.append(Sentence(columns[0], columns[1], tuple(columns[2:])))
        return sentences

    def _check_labels(self, file: ColumnFile, sentences: Sequence[Sentence]) -> None:
        if not are_labels({tag for sentence in sentences for tag in sentence.tags}):
            raise InputError(
                f"column {self._tag} of {file.path} contains BIO tags, but scheme is none, which"
                " reads labels; omit --data.source.scheme"
            )

    def _in_bio(
        self,
        scheme: Scheme | Literal["auto"],
        files: Mapping[str, ColumnFile],
        splits: Mapping[str, list[Sentence]],
    ) -> tuple[Scheme, dict[str, list[Sentence]]]:
        train = [sentence.tags for sentence in splits["train"]]
        _check_tags(files["train"], train, split_tag)
        written = detect_scheme(train) if scheme == "auto" else scheme
        has_types = any(split_tag(tag)[1] for tags in train for tag in tags)

        def convert(*tags: str) -> tuple[str, ...]:
            if has_types and (bare := [tag for tag in tags if tag != "O" and len(tag) == 1]):
                raise ValueError(
                    f"the tag {shortened(bare[0])!r} has no type, but other training tags have one"
                )
            return to_bio(tags, written, self._default_type)

        for split, file in files.items():
            _check_tags(file, (sentence.tags for sentence in splits[split]), convert)
        return written, {
            split: [sentence._replace(tags=convert(*sentence.tags)) for sentence in part]
            for split, part in splits.items()
        }

    def _hold_out(
        self, path: Path, splits: dict[str, list[Sentence]]
    ) -> tuple[dict[str, list[Sentence]], str]:
        train = splits["train"]
        count = max(1, round(self._valid_fraction * len(train)))
        if count == len(train):
            raise InputError(
                f"no validation file next to {path}, and its {len(train)} sentences are too few for"
                f" valid_fraction={self._valid_fraction}; add a validation file or more sentences"
            )
        note = (
            f"no validation file: the last {count:,} of {len(train):,} training sentences are used"
            " for validation only"
        )
        return {"train": train[:-count], "valid": train[-count:], "test": splits["test"]}, note


def _check_tags(
    file: ColumnFile, tags: Iterable[Sequence[str]], check: Callable[[str], object]
) -> None:
    """Reports the line of the first tag for which `check` raises a `ValueError`."""
    good = set()
    for block, tags_of_one in zip(file.blocks, tags, strict=True):
        for number, tag in enumerate(tags_of_one, start=block.line):
            if tag in good:
                continue
            try:
                check(tag)
            except ValueError as error:
                raise InputError(
                    f"line {number} of {file.path}: {error}; set the tag column with"
                    " --data.source.tag and the tag scheme with --data.source.scheme (none for"
                    " labels such as parts of speech)"
                ) from error
            good.add(tag)


def _document_notes(files: Iterable[ColumnFile]) -> list[str]:
    count = sum(file.num_documents for file in files)
    return [f"{count:,} -DOCSTART- lines were skipped"] if count else []


def _tag_notes(splits: dict[str, list[Sentence]], path: Path) -> list[str]:
    """Describes unusual tags; raises an error if the training split has no span."""
    found = {split: {tag for s in part for tag in s.tags} for split, part in splits.items()}
    if are_labels(found["train"]):
        kind, known = "label", found
    else:
        kind, known = "type", {split: set(types_of(tags)) for split, tags in found.items()}
    if not known["train"]:
        raise InputError(
            f"all tags in the training sentences of {path} are O; sentences with spans are expected"
            " (check the tag column, --data.source.tag)"
        )
    notes = []
    for split, part in splits.items():
        if kind == "type" and (count := sum(count_malformed(s.tags) for s in part)):
            notes.append(
                f"{count:,} I tags in {split} continue no span: each begins a span, which strict"
                " scores ignore"
            )
        if unseen := sorted(known[split] - known["train"]):
            names = shortened(", ".join(unseen))
            notes.append(
                f"{split} has {kind}s that never occur in training, so no model can predict them:"
                f" {names}"
            )
        if not known[split]:
            notes.append(f"{split} has no span: its F1 is 0 for every prediction")
    return notes
