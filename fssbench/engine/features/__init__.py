"""Images as features: loaded, encoded and kept."""
