"""Tagged corpora in column files, like those of the CoNLL shared tasks."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

from datamodules.batching.sentences import Sentence, TaggedCorpus, TaggedSource
from datamodules.files.hub import hub_folder, is_on_hub, short_name
from datamodules.files.paths import SPLITS, TAGGED, find_tagged_files, find_test_file, locate
from datamodules.files.records import has_records
from datamodules.tagging.column_file import ColumnFile, read_column_file
from pipeline.errors import InputError, shortened
from pipeline.text.layout import ColumnLayout, Comments, Separator
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
    r"""Reads column files with one token and its tag per line, or tables with a sentence per row.

    Sentences of column files are separated by blank lines. CoNLL-U and CoNLL-U Plus are recognised,
    and their columns can be given by name. Files with the suffixes .parquet, .jsonl and .json, and
    folders that `save_to_disk` of the package `datasets` wrote, have a sentence per row, with lists
    of tokens and tags. Tags of any scheme are converted to BIO; an I that continues no span is kept
    and counted. `scheme="none"` reads labels, such as parts of speech, and leaves them unchanged.

    Args:
        corpus: Name of a corpus, such as "conll2003", path of a folder or of a single file, or
            data set of the Hugging Face hub, such as "hf://conll2002:es".
        token: Index of the token column, from 0 (-1 is the last one), or its name; by default
            `form` in CoNLL-U, `tokens` in tables, else 0.
        tag: Index or name of the tag column; by default `tags`, `ner_tags` or `labels` in tables,
            else the last column.
        features: Name and column of each additional feature to read, such as `{pos: 1}`.
        separator: Column separator; "auto" selects TAB if the first line contains one, else exactly
            one space.
        scheme: Tag scheme of the files; "auto" detects it in the training sentences, "none" reads
            labels. "BIOES" includes BILOU and BMES; "IO" are types alone, such as `LOC`.
        default_type: Span type for tags without a type (B, I and O alone).
        files: File name or pattern of each split; by default found by `train`, `valid`, `dev`,
            `devel`, `test` and the CoNLL names, with any prefix and suffix.
        valid_fraction: Fraction of the training sentences, taken from the end, that is used for
            validation if there is no validation file.
        test_fraction: Fraction of the sentences, taken from the end, that is used for testing if
            there is no test file.
        comments: Lines that begin with # before the first token of a sentence: "skip" skips them,
            "none" reads them as tokens, "auto" skips those with another number of columns than the
            tokens, and all in CoNLL-U.
        encoding: Encoding of the files.

    Attributes:
        name: Name of the folder or file.

    Raises:
        InputError: If `default_type` is empty or a fraction is not between 0 and 1.

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
        token: int | str | None = None,
        tag: int | str | None = None,
        features: dict[str, int | str] | None = None,
        separator: Separator = "auto",
        scheme: Scheme | Literal["auto", "none"] = "auto",
        default_type: str = "span",
        files: dict[str, str] | None = None,
        valid_fraction: float = 0.1,
        test_fraction: float = 0.1,
        comments: Comments = "auto",
        encoding: str = "utf-8",
    ) -> None:
        if not default_type:
            raise InputError("default_type is empty; the name of a span type is expected")
        fractions = {"valid": valid_fraction, "test": test_fraction}
        for split, fraction in fractions.items():
            if not 0 < fraction < 1:
                raise InputError(
                    f"{split}_fraction is {fraction}; a fraction of the training sentences between"
                    " 0 and 1 is expected"
                )
        path = Path(corpus)
        self.name = path.stem if path.is_file() else path.resolve().name
        if is_on_hub(corpus):
            self.name = short_name(corpus)
        self._corpus, self._files, self._fractions = corpus, files, fractions
        self._layout = ColumnLayout(
            token, tag, dict(features or {}), separator, comments, default_type=default_type
        )
        self._scheme, self._encoding = scheme, encoding

    def read(self) -> TaggedCorpus:
        """See `TaggedSource`."""
        paths = self._paths()
        files = {
            split: read_column_file(path, self._layout, self._encoding)
            for split, path in paths.items()
        }
        for file in files.values():
            _check_width(file, files["train"])
        splits = {split: _sentences(file) for split, file in files.items()}
        scheme: Scheme | Literal["labels"] = "labels"
        if self._scheme == "none":
            self._check_labels(files["train"], splits["train"])
        else:
            scheme, splits = self._in_bio(self._scheme, files, splits)
        splits, held_out = self._hold_out(paths["train"], splits)
        return TaggedCorpus(
            splits,
            {split: paths.get(split, paths["train"]) for split in SPLITS},
            tuple(self._layout.features),
            scheme,
            (*self._line_notes(files.values()), *_tag_notes(splits, paths["train"])),
            held_out,
            self._resolved(files["train"], scheme),
        )

    def _paths(self) -> dict[str, Path]:
        if is_on_hub(self._corpus):
            return find_tagged_files(hub_folder(self._corpus), self._files)
        path = Path(self._corpus)
        is_saved = path.is_dir() and has_records(path)  # by `datasets`
        if (path.is_file() or is_saved) and not self._files:
            return {"train": path}
        return find_tagged_files(locate(self._corpus, TAGGED), self._files)

    def read_other(self, path: Path, scheme: str) -> TaggedCorpus:
        """See `TaggedSource`; tags are read in the scheme of the corpus unless one was given."""
        if path.is_dir() and not has_records(path):
            path = find_test_file(path, self._files)
        elif not path.exists():
            raise InputError(f"no file or folder {path}; tagged sentences are expected")
        file = read_column_file(path, self._layout, self._encoding)
        sentences = _sentences(file)
        if scheme == "labels":
            self._check_labels(file, sentences)
        else:
            given = self._scheme
            written = cast(Scheme, scheme) if given in ("auto", "none") else cast(Scheme, given)
            _, parts = self._in_bio(written, {"train": file}, {"train": sentences})
            sentences = parts["train"]
        names, notes = tuple(self._layout.features), tuple(self._line_notes([file]))
        return TaggedCorpus({"test": sentences}, {"test": path}, names, scheme, notes)

    def _line_notes(self, files: Collection[ColumnFile]) -> list[str]:
        """Describes skipped lines, and lines that may be comments."""
        counts = sum((file.skipped for file in files), Counter[str]())
        notes = [f"{count:,} {what} were skipped" for what, count in counts.items()]
        marked = sum(block.rows[0][0] == "#" for file in files for block in file.blocks)
        if marked and self._layout.comments == "auto":
            notes.append(
                f"{marked:,} sentences begin with the token #; if these lines are comments, skip"
                " them with --data.source.comments=skip"
            )
        return notes

    def _resolved(
        self, train: ColumnFile, scheme: Scheme | Literal["labels"]
    ) -> ColumnLayout | None:
        """Returns the layout with indices that are valid in files without a tag column, too."""
        if not train.width:
            return None

        def index(column: int | str) -> int | str:
            return column % train.width if isinstance(column, int) else column

        given = self._layout
        return given._replace(
            token=None if given.token is None else index(given.token),
            tag=index(-1 if given.tag is None else given.tag),
            features={name: index(column) for name, column in given.features.items()},
            scheme=scheme,
        )

    def _check_labels(self, file: ColumnFile, sentences: Sequence[Sentence]) -> None:
        if not are_labels({tag for sentence in sentences for tag in sentence.tags}):
            raise InputError(
                f"{file.path} contains BIO tags, but scheme is none, which"
                " reads labels; omit --data.source.scheme"
            )

    def _in_bio(
        self,
        scheme: Scheme | Literal["auto"],
        files: Mapping[str, ColumnFile],
        splits: Mapping[str, list[Sentence]],
    ) -> tuple[Scheme, dict[str, list[Sentence]]]:
        train = [sentence.tags for sentence in splits["train"]]
        try:
            written = detect_scheme(train) if scheme == "auto" else scheme
        except ValueError:
            written = "IOB2"  # the line of the first bad tag is found below
        if written != "IO":
            _check_tags(files["train"], train, split_tag)
        has_types = written != "IO" and any(split_tag(tag)[1] for tags in train for tag in tags)

        def convert(*tags: str) -> tuple[str, ...]:
            if has_types and (bare := [tag for tag in tags if _is_bare(tag)]):
                raise ValueError(
                    f"the tag {shortened(bare[0])!r} has no type, but other training tags have one"
                )
            return to_bio(tags, written, self._layout.default_type)

        for split, file in files.items():
            _check_tags(file, (sentence.tags for sentence in splits[split]), convert)
        return written, {
            split: [sentence._replace(tags=convert(*sentence.tags)) for sentence in part]
            for split, part in splits.items()
        }

    def _hold_out(
        self, path: Path, splits: Mapping[str, list[Sentence]]
    ) -> tuple[dict[str, list[Sentence]], dict[str, str]]:
        """Takes the missing splits from the end of the training sentences."""
        filled, notes = dict(splits), {}
        for split, name, use in (("test", "test", "testing"), ("valid", *["validation"] * 2)):
            if split in filled:
                continue
            train = filled["train"]
            count = max(1, round(self._fractions[split] * len(train)))
            if count >= len(train):
                raise InputError(
                    f"no {name} file next to {path}, and its {len(train)} sentences are too few"
                    f" for {split}_fraction={self._fractions[split]}; add a {name} file or more"
                    " sentences"
                )
            filled["train"], filled[split] = train[:-count], train[-count:]
            notes[split] = (
                f"no {name} file: the last {count:,} of {len(train):,} training sentences are used"
                f" for {use} only"
            )
        return {split: filled[split] for split in SPLITS}, notes


def _check_width(file: ColumnFile, train: ColumnFile) -> None:
    if file.width != train.width:
        raise InputError(
            f"{file.blocks[0].where(0)} has {file.width} columns, but {train.path} has"
            f" {train.width}; use the same columns in all files"
        )


def _sentences(file: ColumnFile) -> list[Sentence]:
    """Returns the sentences of a file; tags are not converted."""
    return [
        Sentence(tokens, tags, tuple(columns))
        for block in file.blocks
        for tokens, tags, *columns in [tuple(zip(*block.rows, strict=True))]
    ]


def _is_bare(tag: str) -> bool:
    prefix, label = split_tag(tag)
    return prefix != "O" and not label


def _check_tags(
    file: ColumnFile, tags: Iterable[Sequence[str]], check: Callable[[str], object]
) -> None:
    """Reports the line of the first tag for which `check` raises a `ValueError`."""
    good = set()
    for block, tags_of_one in zip(file.blocks, tags, strict=True):
        for index, tag in enumerate(tags_of_one):
            if tag in good:
                continue
            try:
                check(tag)
            except ValueError as error:
                raise InputError(
                    f"{block.where(index)}: {error}; set the tag column with"
                    " --data.source.tag and the tag scheme with --data.source.scheme (IO for types"
                    " alone, none for labels such as parts of speech)"
                ) from error
            good.add(tag)


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
