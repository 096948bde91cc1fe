"""Towards the agents: MCP over streamable HTTP, two eras on one endpoint, every operation walked along the line."""
