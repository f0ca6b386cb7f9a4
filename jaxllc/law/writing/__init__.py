"""A law as text, as tables and as a file."""
