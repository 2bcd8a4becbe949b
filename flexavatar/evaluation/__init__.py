"""How good avatars are: protocols that score them, and reports with figures and pictures."""
