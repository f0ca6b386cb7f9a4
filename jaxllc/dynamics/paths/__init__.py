"""How trajectories end, and those of stochastic laws and of maps."""
