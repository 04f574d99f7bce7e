"""Fast forms of methods: subclasses that share a method's weights and shorten its steps, for predictions only."""
