"""One recurrent layer in one direction: weights, initial values, the loop over time."""
