"""The self-pruning study: which edges of a prior network does a signaling model let go of?"""
