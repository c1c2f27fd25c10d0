"""Requests of the Open Inference Protocol, read into one canonical form whatever they came as."""
