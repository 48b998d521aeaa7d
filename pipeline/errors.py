"""Exceptions whose message the command line prints without a traceback."""


class InputError(ValueError):
    """Invalid user input: a file, a flag or a value. The exit code is 2.

    The message is one sentence: what is wrong, where, what was expected, and what to do.
    """


class TrainingError(RuntimeError):
    """Training cannot continue, e.g. because the loss is not finite. The exit code is 1."""
