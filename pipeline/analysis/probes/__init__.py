"""Probes: tests of what a trained model keeps in its states."""
