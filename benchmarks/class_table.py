"""Compares the training and test times of class-based output layers with the published ones.

    UNROLL_DATA=... python benchmarks/class_table.py [--steps 150] [--threads 2] [--picture FILE]

The network is that of Mikolov et al. (2011, "Extensions of recurrent neural network language
model", table 3): an Elman network with 200 hidden units on the Penn Treebank, with 30 to 8000
classes or a full softmax. Each row runs in its own process: training steps in float32 (batch size
20, bptt 20, Adam), extrapolated to an epoch, and one pass over the test file. The published times
are for one core of 2011, one token at a time, so only the shapes of the curves are comparable.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PUBLISHED = {  # classes: (perplexity, minutes per epoch, seconds per test)
    30: (134, 12.8, 8.8),
    50: (136, 9.8, 6.7),
    100: (136, 9.1, 5.6),
    200: (136, 9.5, 6.0),
    400: (134, 10.9, 8.1),
    1000: (131, 16.1, 15.7),
    2000: (128, 25.3, 28.7),
    4000: (127, 44.4, 57.8),
    6000: (127, 70.0, 96.5),
    8000: (124, 107.0, 148.0),
    0: (123, 154.0, 212.0),
}
"""The key 0 is the full softmax."""


def measure(classes: int, steps: int, threads: int) -> dict[str, float]:
    """Returns minutes per epoch, seconds per test and the actual number of classes."""
    sys.path.insert(0, str(REPOSITORY))
    from pipeline.process import configure_allocator

    configure_allocator()
    import torch

    from datamodules.language_model.datamodule import LanguageModelData
    from pipeline.encoders import Elman
    from pipeline.heads import ClassSoftmax, FrequencyBins, FullSoftmax, OutputLayer
    from pipeline.optimization import in_one_pass
    from pipeline.text.vocabulary import Vocabulary
    from tasks.language_model import LanguageModel

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    data = LanguageModelData(str(Path(os.environ["UNROLL_DATA"]) / "ptb"), bptt=20)

    def head(size: int, vocabulary: Vocabulary) -> OutputLayer:
        if not classes:
            return FullSoftmax(size, vocabulary)
        return ClassSoftmax(size, vocabulary, FrequencyBins(classes))

    model = LanguageModel(Elman(200, 200), data.vocabulary, head)
    optimizer = torch.optim.Adam(model.parameters())
    in_one_pass(optimizer)
    windows, start = data.train_dataloader(), 0.0
    for index, window in enumerate(itertools.islice(windows, steps + 20)):
        if index == 20:
            start = time.perf_counter()
        optimizer.zero_grad()
        model.training_step(window, index).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    epoch = (time.perf_counter() - start) / steps * len(windows)
    model.eval()
    model.on_test_epoch_start()
    start = time.perf_counter()
    with torch.inference_mode():
        for index, window in enumerate(data.test_dataloader()):
            model.test_step(window, index)
    num = len(model.head.partition.sizes) if classes else 0
    return {"minutes": epoch / 60, "seconds": time.perf_counter() - start, "classes": num}


def draw(rows: dict[int, dict[str, float]], file: Path) -> None:
    """Plots measured and published times, each relative to the full softmax."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    labels = [str(classes) if classes else "full" for classes in rows]
    titles = {"minutes": "an epoch of training", "seconds": "the test file"}
    columns = zip(figure.subplots(1, 2), titles.items(), strict=True)
    for place, (axes, (name, title)) in enumerate(columns, start=1):
        ours = [row[name] / rows[0][name] for row in rows.values()]
        theirs = [PUBLISHED[classes][place] / PUBLISHED[0][place] for classes in rows]
        axes.plot(labels, theirs, "o--", label="published (2011)", color="0.5")
        axes.plot(labels, ours, "s-", label="here", color="tab:blue")
        axes.set(yscale="log", title=f"time of {title}, full softmax = 1", xlabel="classes")
        axes.tick_params(axis="x", rotation=45)
        axes.legend()
    figure.savefig(file, dpi=150)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "UNROLL_DATA" not in os.environ:
        sys.exit("UNROLL_DATA is not set; set it to the folder that contains ptb/")
    if options.only is not None:
        print(json.dumps(measure(options.only, options.steps, options.threads)))
        return
    rows = {}
    print(
        f"{'classes':>8}{'(used)':>8}{'min/epoch':>11}{'published':>11}{'s/test':>9}{'published':>11}"
    )
    for classes, (_, minutes, seconds) in PUBLISHED.items():
        command = [sys.executable, __file__, f"--only={classes}", f"--steps={options.steps}"]
        done = subprocess.run(
            [*command, f"--threads={options.threads}"], capture_output=True, text=True, check=True
        )
        rows[classes] = row = json.loads(done.stdout)
        print(
            f"{classes or 'full':>8}{row['classes'] or '':>8}{row['minutes']:11.2f}{minutes:11.1f}"
            f"{row['seconds']:9.1f}{seconds:11.1f}",
            flush=True,
        )
    if options.picture is not None:
        draw(rows, options.picture)


if __name__ == "__main__":
    main()
