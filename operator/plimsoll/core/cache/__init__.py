"""The versioned cache: which answers may be kept, and under which key."""
