"""What files with a token a line hold beside tokens."""

DOCSTART = "-DOCSTART-"
"""A line that begins with it begins a document, and is no token."""
