"""Gaussians and frames as other programs read them."""
