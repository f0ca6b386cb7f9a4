"""The judge of candidate laws: the likelihood of the samples decides."""
