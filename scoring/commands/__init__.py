"""What only the command line calls, next to its click definitions."""
