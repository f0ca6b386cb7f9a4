"""The search for the expression of one term."""
