"""Recurrent layers: one layer in one direction, by a kernel, a loop or a scan."""
