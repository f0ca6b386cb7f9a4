"""Parts of the figures of a law."""
