"""Compares the time of reading word vectors with a plain Python loader of the whole file.

    python benchmarks/vectors.py [--rounds 5] [--lines 100000] [--size 100] [--words 30000]

The file has `--lines` random vectors of `--size` numbers in GloVe's text format (86 MB by default).
The corpus has `--words` words, three quarters of them in the file. "plain" is a typical notebook
loop that parses all words into a dictionary. "ours" is `load_vectors`, which reads only the words
of the corpus. Both run in this process, on one core, and take turns; the minimum of each counts.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.text.vectors import load_vectors


def write_vectors(path: Path, words: Iterable[str], size: int) -> None:
    """Writes a random vector for each word."""
    generator = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for word in words:
            numbers = generator.normal(0, 0.4, size)
            file.write(f"{word} " + " ".join(f"{number:.5f}" for number in numbers) + "\n")


def plain(path: Path) -> dict[str, np.ndarray]:
    """Reads all vectors with a plain loop."""
    found = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            word, *values = line.split()
            found[word] = np.array(values, dtype=np.float32)
    return found


def seconds(read: Callable[[], object]) -> float:
    """Returns the seconds of a call."""
    start = time.perf_counter()
    read()
    return time.perf_counter() - start


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--words", type=int, default=30_000)
    options = parser.parse_args()
    words = [
        f"w{index * 4 * options.lines // (3 * options.words)}" for index in range(options.words)
    ]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "vectors.txt"
        write_vectors(path, (f"w{index}" for index in range(options.lines)), options.size)
        variants = {"plain": lambda: plain(path), "ours": lambda: load_vectors(path, words)}
        times: dict[str, list[float]] = {variant: [] for variant in variants}
        for number in range(options.rounds):
            for variant, read in variants.items():
                times[variant].append(seconds(read))
                print(f"round {number + 1}: {variant}: {times[variant][-1]:.2f} s", file=sys.stderr)
        size = os.path.getsize(path)
    print(f"{size / 1e6:.0f} MB, {options.lines:,} x {options.size}, {options.words:,} words")
    print(f"{'':8}{'seconds':>9}{'x plain':>9}")
    for variant, measured in times.items():
        print(f"{variant:8}{min(measured):9.2f}{min(times['plain']) / min(measured):9.2f}")


if __name__ == "__main__":
    main()
