"""A second look at a law that explains noisy samples; see `look`."""
