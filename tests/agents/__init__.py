"""Real coding agents, their model a script."""
