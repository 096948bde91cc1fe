"""Who is calling: agents and their bound tokens, the peer of a connection as the kernel knows it, attested
connections."""
