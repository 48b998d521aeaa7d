"""The files of a run: checkpoints, run folders, and where they are."""
