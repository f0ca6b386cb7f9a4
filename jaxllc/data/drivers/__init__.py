"""What drives the nodes of a network from outside: inputs over time, and the tables they come in."""
