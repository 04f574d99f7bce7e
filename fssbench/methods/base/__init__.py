"""The contract of methods, and the designs that several papers have in common."""
