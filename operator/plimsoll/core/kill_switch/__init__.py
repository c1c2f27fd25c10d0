"""When a model answers so badly that it should not answer any more."""
