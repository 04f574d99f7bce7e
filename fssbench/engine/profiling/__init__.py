"""Time, memory and operations of an evaluation."""
