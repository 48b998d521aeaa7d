"""Lists of items, one per line of a single file, for models that generate new items."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

from datamodules.batching.splits import fill_splits
from datamodules.batching.texts import LabelledText
from datamodules.files.lines import read_lines
from pipeline.cache import cached
from pipeline.errors import InputError
from pipeline.text.units import BLANKS

HELD_OUT = 0.1
"""Fraction of the distinct items for testing, and fraction of the others for validation."""
SEED = 1
"""Random seed of the split, independent of a run's seed, so that runs share their test items."""
_MIN_ITEMS = 3  # one for each split
_FORMAT = 1  # increase it when the same items would be split differently
_MAX_BYTES = 100_000_000  # a list is held in RAM


def read_items(path: Path) -> list[str]:
    """Reads a list of items from a UTF-8 file, one per line, without blank lines.

    Raises `InputError` if the file is too large for a list, or as `read_lines`.
    """
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes; a single file is read as a list of items of at most "
            f"{_MAX_BYTES:,} bytes; put running text into a folder with train, valid and test files"
        )
    return [item for line in read_lines(path) if (item := line.strip(BLANKS))]


def items_folder(items: Sequence[str], name: str) -> Path:
    """Returns a cached folder that holds the items as train.txt, valid.txt and test.txt.

    All copies of an item are in the same split. The training items are shuffled once, because the
    items of a batch from an alphabetical list would all begin alike. Raises `InputError`, with the
    name of the list, if there are fewer than three distinct items.
    """
    distinct = list(dict.fromkeys(items))
    if len(distinct) < _MIN_ITEMS:
        raise InputError(
            f"the list {name} has {len(distinct)} distinct item{'s' * (len(distinct) != 1)}; at "
            f"least {_MIN_ITEMS} are needed, one per line, to train, validate and test"
        )
    key = hashlib.sha256("\n".join(items).encode()).hexdigest()[:32]
    return cached(f"items-{_FORMAT}-{key}", lambda folder: _write(items, distinct, folder), Path)


def _write(items: Sequence[str], distinct: Sequence[str], folder: Path) -> None:
    texts = {"train": [LabelledText((item,), "") for item in distinct]}
    splits, _ = fill_splits(texts, HELD_OUT, SEED, "the list", "file")
    for split, chosen in splits.items():
        own = {text.tokens[0] for text in chosen}
        lines = [item for item in items if item in own]
        if split == "train":
            Random(SEED).shuffle(lines)  # noqa: S311 - not for secrets
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")


COLORS = tuple(
    """
amber, amethyst, apricot, aqua, ash grey, aubergine, azure, baby blue, bamboo, banana yellow, beige,
berry red, biscuit, black, blackberry, blood orange, blue, blue grey, blush, bone white, bottle
green, brick red, bright pink, bronze, brown, burgundy, burnt orange, butter yellow, cabbage green,
camel, candy pink, canary yellow, caramel, cardinal red, carmine, carrot orange, celery green,
cerise, chalk white, charcoal, cherry red, chestnut, chocolate, cinnamon, citrus yellow, clay,
cloud grey, clover green, cobalt blue, cocoa, coffee, copper, coral, corn yellow, cornflower blue,
cranberry, cream, crimson, cyan, damson, dark blue, dark green, dark grey, dark red, deep purple,
denim blue, desert sand, dove grey, dusty pink, earth brown, ebony, egg white, electric blue,
elephant grey, emerald, fern green, fire red, flamingo pink, flax, forest green, fuchsia, ginger,
glacier blue, gold, grape, graphite, grass green, green, grey, hazel, heather, honey, hot pink,
ice blue, indigo, ink blue, ivory, ivy green, jade, jet black, khaki, lavender, leaf green, lemon
yellow, light blue, light green, light grey, lilac, lime green, linen, magenta, mahogany, mango,
maroon, mauve, midnight blue, milk white, mint green, mocha, moss green, mulberry, mustard, navy
blue, night black, nutmeg, oak brown, ochre, off white, old rose, olive green, orange, orchid,
oyster white, pale blue, pale green, pale pink, peach, peacock blue, pear green, pearl, petrol blue,
pine green, pink, pistachio, plum, poppy red, powder blue, pumpkin, purple, raspberry, red, rose,
royal blue, ruby, rust, saffron, sage green, salmon, sand, sapphire, scarlet, sea green, sepia,
silver, sky blue, slate grey, smoke, snow white, steel blue, stone grey, straw yellow, sunset
orange, tan, tangerine, taupe, teal, terracotta, tomato red, turquoise, umber, vanilla, vermilion,
violet, walnut, wheat, white, wine red, yellow
""".replace("\n", " ")
    .strip()
    .split(", ")
)
"""The built-in list of items: names of colors, in alphabetical order."""
