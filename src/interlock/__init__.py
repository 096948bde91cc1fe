"""Interlock: execution-layer security for AI agents. Importing this package has no effect but the version's name."""

__version__ = "0.1.0"
