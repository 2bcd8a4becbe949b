"""Tests, and what they share: tiny seeded models, servers on port 0, made-up people and voices."""
