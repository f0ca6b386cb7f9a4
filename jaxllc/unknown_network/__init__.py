"""A network that nobody gave: who acts on whom, and by which law, from samples alone."""
