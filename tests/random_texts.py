"""Random expressions as text, for what must hold of any of them."""

import numpy as np


def random_text(seed):
    """A random expression, as text, that has a real value wherever x_i and x_j are positive."""
    rng = np.random.default_rng(seed)

    def draw(depth):
        if depth == 0 or rng.random() < 0.1:
            return ["x_i", "x_j", f"{rng.uniform(0.2, 2):.3f}", str(rng.integers(1, 4))][
                rng.integers(4)
            ]
        a, b, c = (draw(depth - 1) for _ in range(3))
        forms = (
            f"({a} + {b})",
            f"({a} - {b})",
            f"{a}*{b}",
            f"sigmoid({a} - {b})",
            f"min({a}, {b})",
            f"max({a}, {b}, {c})",
            f"max({a}, -{b})*{c}",
            f"hill(abs({a}) + 0.1, 1.5, {rng.choice(['2', '1.7', '0.5'])})",
            f"(1 + abs({a}))**{rng.choice(['1.7', '-0.3', '1.5', '2'])}",
            f"abs({a} - {b})",
            f"tanh({a})",
            f"log(1 + max(0, {a}))",
            f"sqrt(max({a}, 0.3))",
        )
        return forms[rng.integers(len(forms))]

    return draw(3)
