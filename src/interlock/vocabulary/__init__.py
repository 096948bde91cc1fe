"""The frozen values that every floor speaks in: action, decision, effect, event, fact, grant, ids, errors.

Import the module you need; this file imports none, so that start-up pays only for what it uses.
"""
