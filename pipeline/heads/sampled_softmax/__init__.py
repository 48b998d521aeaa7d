"""Training criteria that sample negatives."""
