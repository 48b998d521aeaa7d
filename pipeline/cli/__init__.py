"""The command line: one file per verb, with its options, checks and call.

Importing these files must stay fast: torch is imported by the function that needs it.
"""
