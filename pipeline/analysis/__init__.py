"""What happens inside a trained model: gradients and probes."""
