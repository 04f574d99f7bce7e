"""Files from the network: resumed, checked, shown while they arrive, and unpacked with limits."""
