"""Thin commands over core/, for people and pipelines; they work offline."""
