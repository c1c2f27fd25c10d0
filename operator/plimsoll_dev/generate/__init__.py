"""Writes everything in the repository that follows from something else: CRD, chart copy, reference pages."""
