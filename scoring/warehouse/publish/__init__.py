"""Writers: each module writes the rows of one kind of result inside the caller's transaction."""
