"""The class-based softmax and ways to assign words to classes."""
