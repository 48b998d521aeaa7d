"""The description of a parent run in MLflow: its result, how to repeat it, and its children."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.run.page import code_block
from pipeline.tracking.table import escape_markdown, markdown_table

_ROWS = 30  # a description has at most 8,000 characters


class ParentPage(NamedTuple):
    """Contents of the description of a parent run.

    Attributes:
        result: The result in one line, as Markdown.
        facts: Items of a list, as Markdown.
        commands: The first command, and those that resumed the run.
        use: Commands that use the result.
        head: Headings of the table of child runs.
        rows: Its rows, the most important first.
    """

    result: str
    facts: Sequence[str]
    commands: Sequence[str]
    use: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()

    def markdown(self) -> str:
        """Returns the description.

        Example:
            >>> page = ParentPage("**test/f1 0.5**", [], ["unroll train --config c --seeds 2"])
            >>> print(page.markdown().splitlines()[0])
            **test/f1 0.5**
        """
        parts = [self.result, "".join(f"* {fact}\n" for fact in self.facts).rstrip()]
        parts.append(f"**Repeat it**\n\n{code_block(self.commands)}")
        if self.use:
            parts.append(f"**Use the result**\n\n{code_block(self.use)}")
        if self.rows:
            left = len(self.rows) - _ROWS
            more = f"\n{left} more are in the artifacts.\n" if left > 0 else ""
            parts.append(markdown_table(self.head, self.rows[:_ROWS], (0, 1)) + more)
        return "\n\n".join(part for part in parts if part).rstrip() + "\n"


def flag_fact(name: str, values: str) -> str:
    """Returns an item of a list for a flag and its values."""
    return f"{escape_markdown(name)}: {escape_markdown(values)}"
