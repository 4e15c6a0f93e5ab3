"""Tuning the bi-encoder to its owner's notes: what to learn, and whether it was worth it."""
