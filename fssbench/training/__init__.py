"""Training on the base classes of a fold: the episodes that are drawn, the losses, the loop, and the recipes as data.

recipes     recipes.toml -> Recipe
plan        what was asked for -> what will be done
draws       which pictures are asked, by seed, stage and step
pictures    pictures at the network's size, turned and tinted; crops: cut from them as they are
losses      the losses, by the paper's equation
loop        steps, learning rate, validation
state       what is kept on disk: state and log
validation  what is looked at meanwhile
pretrain    the backbone `small`, from scratch
episodic    any method, stage by stage
run         build, train, write the weights
report      progress
"""
