"""Speech whose phones are known to the millisecond, and what a mouth does to say it."""
