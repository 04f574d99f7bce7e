"""LVIS-92i."""
