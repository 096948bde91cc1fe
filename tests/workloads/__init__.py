"""Ordinary work under the coding-agent preset: output and exit status as outside."""
