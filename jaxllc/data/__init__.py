"""Networks and trajectories, and the tables they are read from."""
