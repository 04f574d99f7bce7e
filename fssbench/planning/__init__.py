"""From what was typed to what will be done; no torch."""
