"""Real coding agents, driven from a script."""
