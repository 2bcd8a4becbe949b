"""One address for many servers: where sessions start, and where they are."""
