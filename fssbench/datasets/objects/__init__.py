"""Data sets whose images are listed object by object, and that are only evaluated."""
