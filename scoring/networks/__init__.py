"""Architectures, heads, losses and read-out of the network that scores one joint image."""
