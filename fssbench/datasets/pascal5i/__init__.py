"""PASCAL-5i."""
