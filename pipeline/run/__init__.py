"""The life of a training: from a configuration to a finished run."""
