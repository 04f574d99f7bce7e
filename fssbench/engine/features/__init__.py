"""Features of images: loaded, encoded and cached."""
