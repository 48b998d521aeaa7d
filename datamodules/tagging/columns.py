"""Tagged corpora in column files, as those of the CoNLL shared tasks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from datamodules.batching.sentences import Sentence, Source, TaggedCorpus
from datamodules.files.paths import SPLITS, TAGGED, find_tagged_files, locate
from datamodules.tagging.column_file import ColumnFile, Separator, read_column_file
from pipeline.errors import InputError
from pipeline.text.tags import (
    Scheme,
    are_labels,
    count_malformed,
    detect_scheme,
    split_tag,
    to_bio,
    types_of,
)


class Columns(Source):
    """Reads a folder of column files: a token a line, its tag beside it (see `read_column_file`).

    Tags may be written in any scheme; they are held as BIO. An I that goes on with nothing is kept
    and counted. `scheme="none"` reads labels instead, such as parts of speech: they stay as they
    are, one for each token, and the corpus' scheme is "labels".

    Args:
        corpus: a corpus' name, as "conll2003", or the path of a folder.
        token: number of the column with the token, from 0; -1 is the last one.
        tag: number of the column with the tag.
        features: name -> number of each other column to read, as `{pos: 1}`.
        separator: what stands between columns; "auto" takes TAB where the first line has one, else
            exactly one space.
        scheme: how tags are written; "auto" finds it in the training text (see `detect_scheme`).
        default_type: type of the spans where tags have none (B, I and O alone).
        files: split -> file name in the folder; omitted, they are found by `find_tagged_files`.
        valid_fraction: share of the training sentences, the last ones, that validates where the
            folder has no validation file.

    Attributes:
        name: the folder's name.

    Raises:
        InputError: `default_type` is empty, or `valid_fraction` is not between 0 and 1.
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
            raise InputError("default_type is empty; a name for the spans is expected")
        if not 0 < valid_fraction < 1:
            raise InputError(
                f"valid_fraction is {valid_fraction}; a share of the training sentences, between 0"
                " and 1, is expected"
            )
        self.name = Path(corpus).resolve().name
        self._corpus, self._files, self._valid_fraction = corpus, files, valid_fraction
        self._token, self._tag, self._features = token, tag, dict(features or {})
        self._separator, self._scheme, self._default_type = separator, scheme, default_type

    def read(self) -> TaggedCorpus:
        """See `Source`."""
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
        if "valid" not in splits:
            splits, note = self._hold_out(paths["train"], splits)
            notes.append(note)
        notes += _tag_notes(splits, paths["train"])
        return TaggedCorpus(
            splits,
            {split: paths.get(split, paths["train"]) for split in SPLITS},
            tuple(self._features),
            scheme,
            tuple(notes),
        )

    def _check_columns(self, file: ColumnFile, train: ColumnFile) -> None:
        where = f"line {file.blocks[0].line} of {file.path}"
        if file.width != train.width:
            raise InputError(
                f"{where} has {file.width} columns, {train.width} are expected, as in"
                f" {train.path}; give all files the same columns"
            )
        for name, number in (("token", self._token), ("tag", self._tag), *self._features.items()):
            if not -file.width <= number < file.width:
                raise InputError(
                    f"{where} has {file.width} columns and none of number {number}, the {name}"
                    f" column; numbers from 0 to {file.width - 1}, or from -1 backwards, are"
                    " expected"
                )

    def _sentences(self, file: ColumnFile) -> list[Sentence]:
        """Reads the columns that are asked for; tags are as the file spells them."""
        numbers = (self._token, self._tag, *self._features.values())
        sentences = []
        for block in file.blocks:
            columns = [tuple(row[number] for row in block.rows) for number in numbers]
            for number, column in zip(numbers, columns, strict=True):
                if "" in column:
                    raise InputError(
                        f"column {number} is empty in line {block.line + column.index('')} of"
                        f" {file.path}; a value is expected (is there one separator too many?)"
                    )
            sentences.append(Sentence(columns[0], columns[1], tuple(columns[2:])))
        return sentences

    def _check_labels(self, file: ColumnFile, sentences: Sequence[Sentence]) -> None:
        if not are_labels({tag for sentence in sentences for tag in sentence.tags}):
            raise InputError(
                f"column {self._tag} of {file.path} holds BIO tags, which scheme none would read as"
                " labels; leave scheme out"
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
                raise ValueError(f"the tag {bare[0]!r} has no type, though others in training do")
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
                f"there is no validation file beside {path}, and its {len(train)} sentences cannot"
                f" be cut by valid_fraction={self._valid_fraction}; give a validation file or more"
                " sentences"
            )
        note = (
            f"there is no validation file: the last {count:,} of {len(train):,} training sentences"
            " validate and are not trained on"
        )
        return {"train": train[:-count], "valid": train[-count:], "test": splits["test"]}, note


def _check_tags(
    file: ColumnFile, tags: Iterable[Sequence[str]], check: Callable[[str], object]
) -> None:
    """Names the line of the first tag for which `check` raises a `ValueError`."""
    good = set()
    for block, tags_of_one in zip(file.blocks, tags, strict=True):
        for number, tag in enumerate(tags_of_one, start=block.line):
            if tag in good:
                continue
            try:
                check(tag)
            except ValueError as error:
                raise InputError(
                    f"line {number} of {file.path}: {error}; give the tag's column with"
                    " --data.source.tag and its scheme with --data.source.scheme, which is none for"
                    " labels such as parts of speech"
                ) from error
            good.add(tag)


def _document_notes(files: Iterable[ColumnFile]) -> list[str]:
    count = sum(file.num_documents for file in files)
    return [f"{count:,} -DOCSTART- lines are left out"] if count else []


def _tag_notes(splits: dict[str, list[Sentence]], path: Path) -> list[str]:
    """Tells what is odd about the tags; refuses a training text without any span."""
    found = {split: {tag for s in part for tag in s.tags} for split, part in splits.items()}
    if are_labels(found["train"]):
        kind, known = "label", found
    else:
        kind, known = "type", {split: set(types_of(tags)) for split, tags in found.items()}
    if not known["train"]:
        raise InputError(
            f"no sentence of {path} that is trained on has a tag other than O, so there is nothing"
            " to learn; sentences with spans are expected (is another column the tag's?)"
        )
    notes = []
    for split, part in splits.items():
        if kind == "type" and (count := sum(count_malformed(s.tags) for s in part)):
            notes.append(
                f"{count:,} I tags of {split} go on with nothing: each begins a span, which strict"
                " reading leaves out"
            )
        if unseen := sorted(known[split] - known["train"]):
            names = ", ".join(unseen)
            notes.append(
                f"{split} has {kind}s that training lacks, which no model can predict: {names}"
            )
        if not known[split]:
            notes.append(f"{split} has no span: its F1 is 0 whatever is predicted")
    return notes
