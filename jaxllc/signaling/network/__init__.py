"""Prior networks: their edges, signs and structure."""
