"""How sure an answer is, by its own account, and what becomes of one that is not sure enough."""
