"""Reads column files as input of a trained tagger, with the columns of its training."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.errors import InputError, malformed
from pipeline.inference.annotation.sentence_splitting import Passage
from pipeline.inference.annotation.text_files import read_lines
from pipeline.text.columns import ColumnBlock, ColumnParser
from pipeline.text.layout import ColumnLayout
from pipeline.text.state import read_layout
from pipeline.text.tags import to_bio
from pipeline.text.treebank import Token

_MAX_TOKENS = 100_000  # of one sentence
_NO_TAG = "_"  # in CoNLL-U


class ColumnInput:
    """Sentences of column files for a tagger.

    Args:
        data: State of the tagger's datamodule. Its `layout` describes the column files of training;
            without one, the token is the first column and the features are those after it.
        has_features: Whether the model reads the features in `data`.
        has_tags: Whether gold tags are read, if the files have the column of tags of training.

    Attributes:
        skipped: Kind of lines that are not tokens -> their number.

    Raises:
        InputError: If the state does not describe the columns of the features.

    Example:
        >>> ColumnInput({"lexicon": {"columns": {}}}, has_features=False).skipped.total()
        0
    """

    def __init__(self, data: Mapping[str, Any], has_features: bool, has_tags: bool = False) -> None:
        names = list(data["lexicon"]["columns"]) if has_features else []
        layout = read_layout(data)
        if layout is None:
            features: dict[str, int | str] = {name: i for i, name in enumerate(names, start=1)}
            self._layout, self._has_tags = ColumnLayout(features=features), False
        else:
            if missing := [name for name in names if name not in layout.features]:
                raise malformed("layout.features", layout.features, f"a column for {missing[0]!r}")
            features = {name: layout.features[name] for name in names}
            self._layout, self._has_tags = layout._replace(features=features), has_tags
        self.skipped = Counter[str]()

    def passages(self, source: str, encoding: str) -> Iterator[Passage]:
        """Yields the sentences of a file or of standard input, without loading the whole file.

        Raises `InputError` if the file is malformed or lacks a column.
        """
        parser = ColumnParser(
            source,
            self._layout,
            "optional" if self._has_tags else "none",
            "give one token per line (--format sentences reads plain text)",
            _MAX_TOKENS,
        )
        for block in parser.blocks(read_lines(source, encoding)):
            yield self._passage(source, block, parser)
        self.skipped += parser.skipped

    def _passage(self, source: str, block: ColumnBlock, parser: ColumnParser) -> Passage:
        words, tags, *columns = zip(*block.rows, strict=True)
        tokens, position = [], 0
        for word in words:
            tokens.append(Token(word, position, position + len(word)))
            position += len(word) + 1
        return Passage(
            source=source,
            text=" ".join(words),
            start=block.lines[0].start,
            line=block.lines[0].number,
            tokens=tokens,
            columns=tuple(columns),
            token_starts=tuple(map(parser.token_start, block.lines)),
            gold=self._gold(source, block, tags) if parser.has_tags else (),
        )

    def _gold(self, source: str, block: ColumnBlock, tags: tuple[str, ...]) -> tuple[str, ...]:
        """Converts tags to BIO; a sentence without annotation is not changed."""
        scheme = self._layout.scheme
        if scheme == "labels" or {*tags} == {_NO_TAG}:
            return tags
        try:
            return to_bio(tags, scheme, self._layout.default_type)
        except ValueError as error:
            raise InputError(
                f"the sentence in line {block.lines[0].number} of {source}: {error}, which is that "
                "of the training files; give a file with such tags or without the column of tags"
            ) from error
