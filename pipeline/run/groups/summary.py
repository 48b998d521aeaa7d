"""Means and standard deviations of the scores of child runs, on their parent run."""

import statistics
from collections.abc import Mapping, Sequence

from pipeline.checkpoints.folder import RunFolder, write_atomically
from pipeline.console import print_result
from pipeline.run.description import commands_of, write_note
from pipeline.run.groups.page import ParentPage
from pipeline.run.page import EXPECTED_TAG, of_unchanged
from pipeline.tracking.family import Child
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.run import run_state


def sum_up(tracker: RunTracker, parent: RunFolder, found: Sequence[Child], kind: str) -> None:
    """Logs mean and standard deviation of the test scores of the finished child runs.

    `kind` is "fold" or "seed". A table with a row for each child run is the file `<kind>s.tsv`.
    """
    finished = [child for child in found if child.status == "FINISHED"]
    if not finished:
        return
    names = sorted(set.intersection(*(set(child.scores) for child in finished)))
    values = {name: [child.scores[name] for child in finished] for name in names}
    means = {name: statistics.fmean(column) for name, column in values.items()}
    spreads = {
        f"{name}_std": statistics.stdev(column) if len(column) > 1 else 0.0
        for name, column in values.items()
    }
    tracker.log_values({**means, **spreads, f"{kind}s": len(finished)})
    file = parent.path / f"{kind}s.tsv"
    write_atomically(file, _table(finished, means, spreads, kind))
    tracker.log_artifact(file)
    for name in means:
        print_result(f"{name} {means[name]:.6g} +- {spreads[f'{name}_std']:.3g}")
    expected = run_state(parent.run_id).tags.get(EXPECTED_TAG, "")
    write_note(tracker, _page(finished, means, spreads, kind, commands_of(tracker), expected))


def _page(
    finished: Sequence[Child],
    means: Mapping[str, float],
    spreads: Mapping[str, float],
    kind: str,
    commands: Sequence[str],
    expected: str,
) -> str:
    chosen = main_scores(means)
    result = ", ".join(f"{n} {means[n]:.5g} ± {spreads[f'{n}_std']:.2g}" for n in chosen[:1])
    what = f"(mean and standard deviation of {len(finished)} {kind}s)"
    page = ParentPage(
        result=f"**{result}** {what}. {of_unchanged(expected)}".rstrip(),
        facts=[f"All scores are in the artifact `{kind}s.tsv`."],
        commands=commands,
        head=[kind, "run", *chosen],
        rows=[
            [str(child.number), child.run_id[:8], *(f"{child.scores[n]:.5g}" for n in chosen)]
            for child in finished
        ],
    )
    return page.markdown()


def _table(
    finished: Sequence[Child], means: Mapping[str, float], spreads: Mapping[str, float], kind: str
) -> str:
    rows = [[kind, "run", *means]]
    rows += [
        [str(child.number), child.run_id, *(f"{child.scores[name]:.6g}" for name in means)]
        for child in sorted(finished, key=lambda child: child.number)
    ]
    rows.append(["mean", "", *(f"{mean:.6g}" for mean in means.values())])
    rows.append(["std", "", *(f"{spread:.6g}" for spread in spreads.values())])
    return "".join("\t".join(row) + "\n" for row in rows)


def shown_scores(scores: Mapping[str, float]) -> str:
    """Returns the most important test scores of a child run, for the user."""
    return "  ".join(f"{name} {scores[name]:.4f}" for name in main_scores(scores))


def main_scores(scores: Mapping[str, float]) -> list[str]:
    """Returns the names of the most important test scores."""
    chosen = [name for name in ("test/accuracy", "test/macro_f1") if name in scores]
    chosen = chosen or [name for name in ("test/perplexity",) if name in scores]
    if "test/f1" in scores:  # F1 of spans: accuracy is dominated by O
        chosen = [name for name in scores if name.startswith("test/f1") and name.count("_") <= 1]
    return sorted(chosen or scores)[:4]
