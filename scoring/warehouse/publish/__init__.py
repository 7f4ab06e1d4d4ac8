"""Writers: each module writes one kind of result."""
