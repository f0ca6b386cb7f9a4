"""Laws fitted through the differentiable solver."""
