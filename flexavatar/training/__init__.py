"""Training of the networks: synthetic people and voices, samples, losses, loops."""
