"""PACO-Part."""
