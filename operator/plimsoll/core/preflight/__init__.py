"""What a preflight concludes from what it measured. Pure; numpy computes."""
