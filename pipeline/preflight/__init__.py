"""Checks configuration files and flags before anything heavy is imported.

Importing torch and lightning takes seconds, a typing mistake should not. So the signatures of the
classes that a configuration names are read from their source text, and a mistake is told at once.
The check is one-sided: what cannot be told from the text (compiled classes, `**kwargs`, computed
names) passes, and is left to the parser that instantiates the classes.
"""

from pipeline.preflight.checker import check, model_class_path

__all__ = ["check", "model_class_path"]
