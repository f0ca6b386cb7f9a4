"""Parts of `fuzz.py`: readers, the inputs they start from, mutations, and the judge of one case."""
