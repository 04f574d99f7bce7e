"""iSAID-5i."""
