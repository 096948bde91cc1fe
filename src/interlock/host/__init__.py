"""The host plane as `interlock run` sees it: the supervisor's wire, the human's terminal, the loop between them."""
