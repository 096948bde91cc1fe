"""MCP itself: revisions, messages, headers, streams and questions of servers, for both sides of the gateway. Pure."""
