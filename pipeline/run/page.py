"""The description of a run in MLflow, in Markdown: its result, how to repeat it, how to use it."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.console import printable
from pipeline.tracking.table import escape_markdown

COMMAND_TAG, RESUMED_TAG = "unroll.command", "unroll.resumed"
"""Tags with the first command of a run, and with those that resumed it, one per line."""
EXPECTED_TAG = "unroll.expected"
"""Tag with the scores that the configuration's comment states."""


class Page(NamedTuple):
    """Contents of the description of a run.

    Attributes:
        status: Status of the run, such as "FINISHED".
        monitor: Validation metric that selects the best checkpoint.
        scores: Values of `best/*`, `test/*`, `model/*` and `perf/*`.
        expected: Scores that the configuration states; "" if none.
        corpus: Name of the corpus, and its sizes.
        model: The model in a few words.
        commands: The first command, and those that resumed the run.
        commit: Commit of the code, with a remark about uncommitted changes; "" if unknown.
        use: Commands that use the model.
        examples: Lines of the model's output.
    """

    status: str
    monitor: str
    scores: Mapping[str, float]
    expected: str
    corpus: str
    model: str
    commands: Sequence[str]
    commit: str
    use: Sequence[str]
    examples: Sequence[str]

    def markdown(self) -> str:
        """Returns the description."""
        first, *resumed = self.commands
        parts = [
            headline(self.status, self.monitor, self.scores, self.expected),
            f"* Model: {self.model}{self._size()}{self._cost()}\n"
            f"* Corpus: {_indented(self.corpus)}",
            f"**Repeat it**{self.commit}\n\n{code_block([first, *resumed])}",
            "The complete configuration is the artifact `config.yaml`; `unroll train --config "
            "config.yaml` gives the same run.",
        ]
        if self.status == "FINISHED":
            parts.append(f"**Use the model**\n\n{code_block(self.use)}")
        if self.examples:
            parts.append(f"**Output**\n\n{code_block(self.examples)}")
        return "\n\n".join(parts) + "\n"

    def _size(self) -> str:
        total = self.scores.get("model/parameters")
        rest = self.scores.get("model/parameters_without_embeddings")
        if not total or rest is None:
            return ""
        without = f" ({rest:,.0f} without embeddings)" if rest < total else ""
        return f", {total:,.0f} parameters{without}"

    def _cost(self) -> str:
        seconds = self.scores.get("perf/seconds_per_epoch")
        memory = self.scores.get("perf/peak_memory_mib")
        costs = [] if seconds is None else [f"{seconds:.3g} s per epoch"]
        costs += [] if memory is None else [f"{memory:,.0f} MiB peak memory"]
        return f"\n* Training: {', '.join(costs)}" if costs else ""


def headline(status: str, monitor: str, scores: Mapping[str, float], expected: str) -> str:
    """Returns the first line of a description: the result, and the scores to expect.

    Example:
        >>> scores = {"test/perplexity": 112.098}
        >>> headline("FINISHED", "val/perplexity", scores, "Published test perplexity 114.5.")
        '**test/perplexity 112.1**. The unchanged configuration: Published test perplexity 114.5.'
    """
    test, best = "test/" + monitor.partition("/")[2], "best/" + monitor.replace("/", "_")
    known, unknown = scores.get("test/perplexity_known"), scores.get("test/unk", 0)
    is_larger = test == "test/perplexity" and known is not None and unknown > 0
    without = (
        f" ({known:.5g} without {unknown:,.0f} unknown token{'s' * (unknown != 1)})"
        if is_larger
        else ""
    )
    found = [f"**{test} {scores[test]:.5g}**{without}"] if test in scores else []
    found += [f"best {monitor} {scores[best]:.5g}"] if best in scores else []
    result = ", ".join(found) or f"No score of {monitor} yet"
    ended = "" if status == "FINISHED" else f" ({status})"
    return f"{result}{ended}. {of_unchanged(expected)}".strip()


def of_unchanged(expected: str) -> str:
    """Returns the scores to expect, and that these are not of a configuration with changes."""
    return f"The unchanged configuration: {expected}" if expected else ""


def with_headline(note: str, line: str) -> str:
    """Returns a description with another first line; a text of the user's own is kept below it."""
    old, _, rest = note.partition("\n")
    is_ours = old.startswith(("**test/", "best val/", "No score of "))
    return f"{line}\n{rest}" if is_ours else f"{line}\n\n{note}"


def _indented(text: str) -> str:
    """Returns a text of one line, or of a first line and a block with the others."""
    first, *rest = text.splitlines()
    first = escape_markdown(first)
    block = ["", *(f"  {line}" for line in code_block(rest).splitlines())] if rest else []
    return "\n".join([first, *block])


def code_block(lines: Sequence[str]) -> str:
    """Returns a block of code, whose fence is longer than any in its lines."""
    text = printable("\n".join(lines))
    longest = max((len(marks) for marks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
