"""Candidate laws fitted to trajectories: the problem, its linearisation, and steps within bounds."""
