"""`python -m pipeline <verb>`, and the command `unroll`."""

from pipeline.cli import main


def run() -> int:
    """Runs the command line; our tasks and datamodules are known by their short names."""
    return main(known=("tasks.language_model", "datamodules.language_model"))


if __name__ == "__main__":
    raise SystemExit(run())
