"""The class-based softmax and rules that assign words to classes."""
