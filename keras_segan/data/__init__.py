"""Corpora, manifests and the audio pipeline."""
