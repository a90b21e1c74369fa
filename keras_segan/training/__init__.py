"""Training loops and the run folder."""
