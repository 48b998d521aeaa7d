"""Compares the time and memory of n-gram models with an implementation based on dictionaries.

    python benchmarks/ngrams.py [--order 5] [--millions 20] [--plain 100000]

Each measurement runs in its own process, which estimates a modified Kneser-Ney model and scores the
test text. The text is the Penn Treebank if it is in `UNROLL_DATA`, otherwise random words with a
Zipf distribution. `--millions N` adds a measurement with N million tokens: the repeated training
text, in which a fifth of the words are replaced at random, so that there are about as many distinct
n-grams as in new text. "plain" is the same estimate with Python dictionaries on the first `--plain`
tokens, compared with "ours" on the same tokens. Both wall time and CPU time are shown; they differ
on a busy machine, and the ratio is of CPU times. Memory is the peak of the whole process.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
NEW_WORDS = 0.2


def texts() -> tuple[Any, Any, int, int]:
    """Returns training and test ids, the id of the end of a sentence, and the vocabulary size."""
    if (Path(os.environ.get("UNROLL_DATA", "data")) / "ptb").is_dir():
        from datamodules.language_model.datamodule import LanguageModelData

        data = LanguageModelData(corpus="ptb")
        ids, words = data._corpus.ids, data.vocabulary
        return np.asarray(ids["train"]), np.asarray(ids["test"]), words.eos_id, len(words)
    generator = np.random.default_rng(0)
    chances = 1 / np.arange(1, 10_001)
    drawn = generator.choice(10_000, size=1_010_000, p=chances / chances.sum())
    return drawn[:930_000], drawn[930_000:], 1, 10_000


def repeated(ids: Any, eos_id: int, millions: float) -> Any:  # noqa: ANN401 (arrays)
    """Returns the repeated text with randomly replaced words but unchanged sentence ends."""
    generator = np.random.default_rng(1)
    text = np.resize(ids, round(millions * 1e6))
    replaced = (generator.random(len(text)) < NEW_WORDS) & (text != eos_id)
    words = ids[ids != eos_id]
    text[replaced] = generator.choice(words, size=int(replaced.sum()))
    text[-1] = eos_id
    return text


def ours(train: Any, test: Any, eos_id: int, size: int, order: int) -> tuple[float, int]:  # noqa: ANN401
    """Returns the perplexity of the test text and the number of n-grams of all orders."""
    from pipeline.ngrams import KneserNey, count

    model = KneserNey().estimate(count(train, eos_id, size, order)).model
    num = sum(len(probs) for probs in model.probs)
    return float(np.exp(-model.log_probs(test).mean())), num


class Plain:
    """A simple implementation of modified Kneser-Ney smoothing with dictionaries."""

    def __init__(self, ids: Sequence[int], eos_id: int, size: int, order: int) -> None:
        self.size, self.order, self.eos_id = size, order, eos_id
        tables: list[Any] = [Counter() for _ in range(order + 1)]
        sentence = [-1]
        for word in ids:
            sentence.append(word)
            for length in range(1, min(order, len(sentence)) + 1):
                tables[length][tuple(sentence[-length:])] += 1
            if word == eos_id:
                sentence = [-1]
        for length in range(order - 1, 0, -1):
            left: Any = defaultdict(int)
            for gram in tables[length + 1]:
                left[gram[1:]] += 1
            own = ((gram, n) for gram, n in tables[length].items() if gram[0] == -1)
            tables[length] = {**left, **dict(own)}
        self.tables = tables
        self.discounts, self.totals, self.gammas = self._sums()

    def _sums(self) -> Any:  # noqa: ANN401
        discounts, totals, gammas = [()], [{}], [{}]
        for table in self.tables[1:]:
            n = Counter(table.values())
            y = n[1] / (n[1] + 2 * n[2])
            found = [r - (r + 1) * y * n[r + 1] / n[r] for r in (1, 2, 3)]
            total: Any = defaultdict(int)
            taken: Any = defaultdict(float)
            for gram, number in table.items():
                total[gram[:-1]] += number
                taken[gram[:-1]] += found[min(number, 3) - 1]
            discounts.append(tuple(found))
            totals.append(total)
            gammas.append({context: taken[context] / total[context] for context in total})
        return discounts, totals, gammas

    def prob(self, gram: tuple[int, ...]) -> float:
        """Returns the probability of the last word given the others."""
        lower = self.prob(gram[1:]) if len(gram) > 1 else 1 / self.size
        length, context = len(gram), gram[:-1]
        if context not in self.totals[length]:
            return lower
        number = self.tables[length].get(gram, 0)
        own = number - self.discounts[length][min(number, 3) - 1] if number else 0.0
        return own / self.totals[length][context] + self.gammas[length][context] * lower

    def perplexity(self, ids: Sequence[int]) -> float:
        """Returns the perplexity of a text."""
        total, sentence = 0.0, [-1]
        for word in ids:
            sentence.append(word)
            total -= math.log(self.prob(tuple(sentence[-self.order :])))
            if word == self.eos_id:
                sentence = [-1]
        return math.exp(total / len(ids))


def measure(kind: str, tokens: int, order: int) -> dict[str, float]:
    """Runs a measurement in this process."""
    train, test, eos_id, size = texts()
    train = repeated(train, eos_id, tokens / 1e6) if tokens > len(train) else train[:tokens]
    start, used = time.perf_counter(), time.process_time()
    if kind == "ours":
        perplexity, num = ours(train, test, eos_id, size, order)
    else:
        model = Plain(train.tolist(), eos_id, size, order)
        perplexity, num = model.perplexity(test.tolist()), sum(map(len, model.tables))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
    used = time.process_time() - used
    found = {"seconds": seconds, "processor": used, "megabytes": peak, "perplexity": perplexity}
    return {**found, "tokens": len(train), "ngrams": num}


def in_a_process(kind: str, tokens: int, order: int) -> dict[str, float]:
    """Runs a measurement in a new process and prints the result."""
    command = [sys.executable, __file__, "--measure", kind, str(tokens), str(order)]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(
        f"{kind:6}{found['tokens']:12,.0f} tokens{found['seconds']:8.2f} s"
        f" ({found['processor']:.2f} s CPU)"
        f"{found['megabytes']:9.0f} MB{found['ngrams']:13,.0f} n-grams"
        f"   test perplexity {found['perplexity']:.4f}",
        flush=True,
    )
    return found


def main() -> None:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--millions", type=float, default=0, help="Millions of repeated tokens.")
    parser.add_argument("--plain", type=int, default=100_000, help="Number of tokens to compare.")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        kind, tokens, order = options.measure
        print(json.dumps(measure(kind, int(tokens), int(order))))
        return
    in_a_process("ours", len(texts()[0]), options.order)
    if options.millions:
        in_a_process("ours", round(options.millions * 1e6), options.order)
    fast = in_a_process("ours", options.plain, options.order)
    slow = in_a_process("plain", options.plain, options.order)
    print(f"ours is {slow['processor'] / fast['processor']:.1f} times as fast as plain")


if __name__ == "__main__":
    main()
