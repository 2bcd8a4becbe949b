"""Training of the network: synthetic people, data sets, losses, loops."""
