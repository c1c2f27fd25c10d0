"""Plimsoll: serves models on Triton and proves what each one can carry."""
