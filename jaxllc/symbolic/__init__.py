"""Neural terms and data -> equations: candidate terms, candidate laws, one judge on the trajectories."""
