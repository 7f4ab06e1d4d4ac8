"""Architectures, losses and the read-out of the network that scores one joint image."""
