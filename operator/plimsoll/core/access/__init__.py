"""Who may send requests: keys as digests, and what a request says of its own."""
