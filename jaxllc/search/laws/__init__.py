"""Sets of terms for the equations of a law, in the integral form."""
