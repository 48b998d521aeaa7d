"""`unroll score`: what a language model says of sentences, for people and for other programs."""
