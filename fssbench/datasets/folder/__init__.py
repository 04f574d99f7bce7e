"""Data of one's own: a folder of photos and label maps."""
