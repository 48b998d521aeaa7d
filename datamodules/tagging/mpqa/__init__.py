"""The MPQA corpus: released column files and conversion of the original annotations."""
