"""What is gathered before deciding, because it is impure: who runs this, where, and from what Interlock would load
next.
"""
