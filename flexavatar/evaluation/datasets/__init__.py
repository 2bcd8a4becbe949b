"""Public data sets from a user's own folders, through the same protocols as anybody's photos."""
