"""Mistakes of a person, told in one sentence."""


class InputError(ValueError):
    """A person's file, flag or value is wrong.

    The command line prints the message alone (no traceback) and exits with code 2, so the message
    is one
    sentence: what is wrong, where, what was expected, and what to do.
    """


class TrainingError(RuntimeError):
    """Training cannot go on (a loss that is not finite, say); the exit code is 1."""
