"""Inference: the engines that run the network, and the scorer that streams images through them."""
