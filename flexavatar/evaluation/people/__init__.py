"""Synthetic people whose whole truth is known, on another rig and drawn by another renderer."""
