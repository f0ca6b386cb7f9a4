"""From trajectories to fitted terms: smoothed states, the integral form, neural terms, and the
trajectory fit.
"""
