"""One file per command; each imports its stage when it is called."""
