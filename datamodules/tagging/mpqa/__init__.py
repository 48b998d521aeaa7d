"""MPQA: the released column files, and the original stand-off annotation."""
