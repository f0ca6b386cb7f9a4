"""Neural terms: nets for nodes and edges, fitted to rates and through the solver."""
