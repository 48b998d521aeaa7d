"""Trained models on new text.

`annotation` tags and classifies text, `scoring` computes log-probabilities and re-ranks n-best
lists, `generate` and `sampling` produce text, `dynamic_evaluation` adapts a model while scoring.
Scores on the splits of a corpus are computed by the tasks, not here.
"""
