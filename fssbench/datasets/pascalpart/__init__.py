"""PASCAL-Part."""
