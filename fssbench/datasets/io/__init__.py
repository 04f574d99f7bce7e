"""Images, label maps, cached indices and lists as they are read from files."""
