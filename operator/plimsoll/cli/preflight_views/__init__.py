"""A preflight report for people: the same sections in the terminal and as one page."""
