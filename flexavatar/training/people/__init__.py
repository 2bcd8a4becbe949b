"""Synthetic people on the open head, to train from: painted, wrinkled and lit, fast."""
