"""Training on the base classes of a fold: the pairs that are drawn, the losses, the loop, and the recipes as data.

recipes     recipes.toml -> Recipe
pairs       which pictures are asked, by seed and step
pictures    pictures at the network's size, turned and tinted
losses      the losses, by the paper's equation
loop        steps, learning rate, state on disk, log, progress
pretrain    the backbone `small`, from scratch
episodic    a method's head on a frozen backbone
"""
