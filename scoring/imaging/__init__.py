"""From the bytes of a joint image to the network's input: one decoder, loader and preprocessing for all jobs."""
