"""Parts of `robustness.py`: kills, signals, full disks, pipes and odd surroundings, a situation a row."""
