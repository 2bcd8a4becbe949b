"""Sound to the motion of a mouth: features, network, articulation, and the driver of all three."""
