"""Parent runs and the trainings below them; a single training is in `run`."""
