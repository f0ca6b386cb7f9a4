"""The commands of `jaxllc signaling`."""
