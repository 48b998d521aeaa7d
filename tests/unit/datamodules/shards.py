"""A sample in the layout of the billion-word corpus, with Zipf-distributed random words."""

from pathlib import Path

import numpy as np

TRAIN = "training-monolingual.tokenized.shuffled"
HELD_OUT = "heldout-monolingual.tokenized.shuffled"


def write_shards(folder: Path, num_train: int = 3, sentences: int = 100, words: int = 500) -> Path:
    """Writes `num_train` training shards and three held-out shards; the contents never change."""
    random = np.random.default_rng(1)
    chances = 1 / np.arange(1, words + 1)
    chances /= chances.sum()

    def write(path):
        rows = [random.choice(words, random.integers(3, 30), p=chances) for _ in range(sentences)]
        path.write_text("".join(" ".join(f"w{index}" for index in row) + "\n" for row in rows))

    for name in (TRAIN, HELD_OUT):
        (folder / name).mkdir(parents=True)
    for number in range(1, num_train + 1):
        write(folder / TRAIN / f"news.en-{number:05}-of-00100")
    for number in range(3):
        write(folder / HELD_OUT / f"news.en.heldout-{number:05}-of-00050")
    return folder
