"""Avatars that live outside the server: one file, and what poses it without a network."""
