"""What is found around a start before a policy is compiled: the workspace, the repository around it and what git keeps
of it elsewhere, what the person's own configuration includes, and what the next Interlock would be loaded from.

Leaves out Facts, which belong to one action and are gathered for its decision (`app/gateway_ports.py`).
"""
