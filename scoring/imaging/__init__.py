"""From the bytes of a joint image to what the network sees: one decoder and one preprocessing for all jobs."""
