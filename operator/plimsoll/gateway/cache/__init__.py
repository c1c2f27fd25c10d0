"""Answers that the gateway keeps: the store, requests that wait for one answer, re-checks."""
