"""What is known of a law before it is searched: terms, bounds, units, and numbers people write."""
