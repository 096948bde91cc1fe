"""Towards the tools: MCP servers over stdio (each held by the host plane) and over HTTP, none trusted, none able to
stop another."""
