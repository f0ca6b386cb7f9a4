"""Where the members of a sweep run: devices, processes, and a cluster."""
