"""Steps from one sample to the next: the likelihood of dynamics that are noisy themselves, and of maps.

A trajectory of such dynamics is no solution of its law, so that nothing can be simulated from end to end and
compared with the samples. What the law says is where a step leads on average.
"""
