"""The renderer behind `shapes20i`: seeded, and in integers throughout, so that every machine draws the same pixels.

stream    random numbers: a counter and a mixing function
fixed     sine, arc tangent and square root on integers
noise     tiles of procedural noise
raster    closed polygons to coverage
polygons  closed polygons and how they are made
outlines  the shape of each class
surfaces  the pattern of each class
classes   which shape goes with which pattern
items     one object or blob: where it lies, how it is deformed, coloured and lit
scene     a whole image: what is in it, its background, its label map
water     an image as a camera sees it under water
"""
