"""Laws of noisy dynamics and of maps: those of the steps from one sample to the next."""
