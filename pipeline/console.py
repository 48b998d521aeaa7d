"""What a person reads in the terminal: results on stdout, everything else on stderr."""

import os
import sys


def is_first_process() -> bool:
    """True unless a launcher (ddp, torchrun, srun) gave this process another rank than 0."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return all(rank == "0" for rank in ranks)


def print_note(text: str) -> None:
    """Tells the progress of work, on stderr, from the first process only."""
    if is_first_process():
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def print_error(text: str) -> None:
    """Tells what went wrong, on stderr, from whatever process it went wrong in."""
    sys.stderr.write(f"unroll: {text}\n")
    sys.stderr.flush()


def print_result(text: str) -> None:
    """Gives a result, on stdout, from the first process only."""
    if is_first_process():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
