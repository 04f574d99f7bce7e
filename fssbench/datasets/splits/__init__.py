"""Importing the split files of releases, and storing them in the user's data folder."""
