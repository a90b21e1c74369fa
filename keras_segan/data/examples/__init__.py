"""What a training step eats: one protocol (`base`), in memory (`frames`) and on disk (`stored`)."""
