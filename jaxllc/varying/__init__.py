"""Laws with a constant that differs from node to node: a random effect in the likelihood of single nodes."""
