"""The data plane: one small fleet per namespace that forwards requests, and counts what becomes of them.

A process of its own. It imports nothing of the controller, and serves on when the controller or the API server is gone.
"""
