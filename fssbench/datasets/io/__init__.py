"""Reading images, label maps and lists from files, and caching indices."""
