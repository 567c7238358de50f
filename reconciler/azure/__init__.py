"""Wire clients of the service: what can be said to it and what it answers. No policy, no memory."""
