"""Several networks as one: their disjoint union, and the runs that each of them has."""
