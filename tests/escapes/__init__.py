"""Escapes: each shown to succeed without Interlock, then held."""
