"""A person's house, sessions generated at random in it, and what the person does in it afterwards."""
