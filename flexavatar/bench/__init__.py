"""Milliseconds of every stage: `make bench`, `flexavatar bench` and `python -m flexavatar.bench`.

`measure` times a function, the other modules are the stages, and `run` is the list of them all.
"""
