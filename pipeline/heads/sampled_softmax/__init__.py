"""Output layers that are trained with sampled negatives, and their criteria."""
