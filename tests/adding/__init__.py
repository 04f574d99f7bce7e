"""A toy method and a toy data set, put where CONTRIBUTING.md says, and used."""
