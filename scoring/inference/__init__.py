"""Engines that run the network, and the batch scorer that feeds them."""
