"""Training on the base classes of a fold: episodes, losses, the training loop, and recipes as data.

recipes     recipes.toml -> Recipe
plan        the options -> what will be trained
draws       the images of each step, by seed, stage and step
batches     images at the network's size, with augmentation; crops: random crops of the original images
loop        steps, learning rate, validation
state       files in the training folder: state and log
recorded    the recipe in a state, compared field by field
validation  validation during training
pretrain    the backbone `small`, from scratch
episodic    any method, stage by stage
run         builds, trains, writes the weights
progress    progress of a training

The losses are in `fssbench.layers.losses` and in the methods.
"""
