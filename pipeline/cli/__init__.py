"""The command line: one module per verb. Nothing here imports torch before a verb runs."""
