"""Settings as plain values, checked before anything heavy is loaded."""
