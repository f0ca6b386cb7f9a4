"""What the pre-trained proposer is trained on, its training, and its recall."""
