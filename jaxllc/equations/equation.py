"""The equation of one variable of a law: a self term and an interaction term.

dx_i/dt = self_term(x_i, x_s) + sum_j A_ij interaction_term(x_i, x_j),     x_s = sum_j A_ij x_j
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jaxllc.equations.expressions import parse, to_text

if TYPE_CHECKING:
    import sympy


class Equation(NamedTuple):
    """Both terms as sympy expressions in `x_i`, `x_j`, `omega_i`, `k_i` and so on.

    In the self term `x_s` stands for sum_j A_ij x_j, the sum of x over the neighbours, so that
    `tanh(x_s + u_i)` is a function of the total input; `u_s` is the sum of a node feature u.
    """

    self_term: sympy.Expr
    interaction_term: sympy.Expr

    @classmethod
    def from_text(cls, self_term: str, interaction_term: str) -> Equation:
        """Read both terms with the safe parser; raises InputError."""
        return cls(parse(self_term), parse(interaction_term))

    def to_text(self) -> tuple[str, str]:
        """Both terms as text that `from_text` reads back exactly."""
        return to_text(self.self_term), to_text(self.interaction_term)
