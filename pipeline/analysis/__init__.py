"""Analysis of models: gradients through time and probes of what states contain."""
