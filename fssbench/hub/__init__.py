"""Models of the Hugging Face hub: their names, and their files in the hub's cache. Torch is not imported."""
