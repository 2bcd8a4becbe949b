"""The plugins for engines against a server: their cores compiled, their pictures compared."""
