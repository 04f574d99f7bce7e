"""What methods share: the contract, and the designs that several papers have in common."""
