"""Wiring: the only place where the parts of one floor are made to meet. No decision is taken here."""
