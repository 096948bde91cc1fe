"""Logging in to the gateway by OAuth 2.1: its own authorization server, for clients on this machine."""
