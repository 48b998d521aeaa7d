"""Latency of `mlflow models serve` for raw text, and equality with `unroll predict` and `score`.

    python -m benchmarks.serving --model models:/NAME@champion --input sentences.txt

Serves the model in a process of its own with `--env-manager local`, sends the lines of the file one
by one and in batches of 64, compares the answers with those of the command for the same file, and
prints the median and the 99th percentile of the time of a request in milliseconds.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import requests

BATCH = 64
START_SECONDS = 120


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="models:/NAME@ALIAS or models:/NAME/VERSION")
    parser.add_argument("--input", type=Path, required=True, help="one sentence per line")
    parser.add_argument("--single", type=int, default=300, help="requests with one sentence")
    parser.add_argument("--batches", type=int, default=60, help="requests with 64 sentences")
    options = parser.parse_args()
    lines = [line for line in options.input.read_text("utf-8").splitlines() if line.strip()]
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.txt"
        sample.write_text("\n".join(lines[: options.single]) + "\n", encoding="utf-8")
        expected = list(_command_answers(options.model, sample))
    lines = (lines * (options.batches * BATCH // len(lines) + 1))[: options.batches * BATCH]
    port = _free_port()
    command = ["mlflow", "models", "serve", "--env-manager", "local", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", *command, "-m", options.model],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(server, port)
        _measure(port, lines, options, expected)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _measure(
    port: int, lines: Sequence[str], options: argparse.Namespace, expected: list[dict[str, Any]]
) -> None:
    with requests.Session() as session:
        session.trust_env = False
        single = [_ask(session, port, [line]) for line in lines[: options.single]]
        starts = range(0, len(lines), BATCH)
        batches = [_ask(session, port, lines[start : start + BATCH]) for start in starts]
    answers = [answer for _, found in single for answer in found]
    keys = answers[0].keys() - {"text"}
    same = sum(
        all(answer[key] == row[key] for key in keys)
        for answer, row in zip(answers, expected, strict=True)
    )
    print(f"{same} of {len(expected)} answers are those of the command")
    for name, timed in (("single", single), (f"batches of {BATCH}", batches)):
        times = np.array([seconds for seconds, _ in timed[5:]]) * 1000
        median, last = np.percentile(times, [50, 99])
        print(f"{name}: {len(times)} requests, median {median:.1f} ms, 99th percentile {last:.1f}")


def _ask(
    session: requests.Session, port: int, texts: Sequence[str]
) -> tuple[float, list[dict[str, Any]]]:
    start = time.perf_counter()
    url = f"http://127.0.0.1:{port}/invocations"
    response = session.post(url, json={"inputs": {"text": list(texts)}}, timeout=60)
    seconds = time.perf_counter() - start
    response.raise_for_status()
    return seconds, response.json()["predictions"]


def _command_answers(model: str, sample: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of `unroll predict`, or of `unroll score` for a language model."""
    for verb in ("predict", "score"):
        arguments = [verb, "--run", model, "--input", str(sample), "--as", "jsonl"]
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode == 0:
            yield from map(_of_its_text, map(json.loads, done.stdout.splitlines()))
            return
    sys.exit(done.stderr)


def _of_its_text(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row whose offsets are characters of its text, not of the file."""
    for span in row.get("spans", ()):
        span.update(start=span["start"] - row["start"], end=span["end"] - row["start"])
    return row


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
        if server.poll() is not None:
            break
    sys.exit("the server did not start; try `mlflow models serve` by hand")


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
