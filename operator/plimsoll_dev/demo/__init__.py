"""`make demo`: a real model answers a real request in a real cluster, and the newcomer sees it."""
