"""`puna launch`: coding agents, unmodified, on a real server."""
