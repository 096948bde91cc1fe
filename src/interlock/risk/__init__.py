"""How risky one call is: what is read of it, what is known besides, and the sum (docs/risk.md). Pure."""
