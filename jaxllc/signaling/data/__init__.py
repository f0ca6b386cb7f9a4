"""Conditions: ligands given, TFs measured, and the folds they are held out in."""
