"""Checks of configuration files and flags before torch and Lightning are imported.

Importing them takes seconds. So the signatures of the classes that a configuration names are read
from source text, and a mistake is reported at once. A correct configuration is never refused:
whatever cannot be read from text (compiled classes, `**kwargs`, computed names) passes, and is left
to the parser that builds the classes.
"""

from pipeline.preflight.checker import check, configurations_of, model_class_path
from pipeline.preflight.configurations import find_configuration

__all__ = ["check", "configurations_of", "find_configuration", "model_class_path"]
