"""From samples to smooth states: splines and local fits, what samples resolve, and what they cannot tell."""
