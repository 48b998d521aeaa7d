"""Cells: one step of each recurrence."""
