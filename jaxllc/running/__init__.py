"""Work that takes long: limits of time, waiting that hears an interrupt, and clocks."""
