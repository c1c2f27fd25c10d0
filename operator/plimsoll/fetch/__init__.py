"""The model pod's init container: brings a model by digest, verifies it, and lays out what Triton serves."""
