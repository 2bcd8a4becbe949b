"""Signals that drive a face: ARKit weights from recordings, webcams, voices and phones, mixed."""
