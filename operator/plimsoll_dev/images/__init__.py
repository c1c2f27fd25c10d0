"""Builds the container images, and a CPU Triton that runs without any container."""
