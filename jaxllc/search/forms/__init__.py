"""Forms of an expression in a search: grammar, skeletons, tapes, and samples to fit them to."""
