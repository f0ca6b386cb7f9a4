"""The signaling model: activations, its steady state, and data made with it."""
