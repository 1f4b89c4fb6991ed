"""How fast: cases, their order, the child that times them, and the statistics on what it gives."""
