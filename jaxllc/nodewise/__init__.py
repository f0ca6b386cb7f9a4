"""The samples of each node given the smoothed states of its neighbours, and whether a node follows a law.

A coupled simulation carries one wrong edge into every node. Here a wrong edge, a hidden neighbour or a node
of its own kind spoils the node it leads into and no other.
"""
