"""What every floor speaks in: errors with their exit codes, session ids, and text made printable.

Import the module you need; this file imports none, so that start-up pays only for what it uses.
"""
