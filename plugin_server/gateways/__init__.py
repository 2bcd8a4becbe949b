"""Sockets on which capture apps send, and the hub that hands their faces to sessions."""
