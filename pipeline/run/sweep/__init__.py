"""Hyperparameter search: trials of a search space as child runs; single trainings are in `run`."""
