"""A viewer in a browser: the stream of Gaussians drawn by Spark."""
