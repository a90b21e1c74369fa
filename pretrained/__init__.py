"""Pretrained models and their registry."""
