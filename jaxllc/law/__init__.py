"""A law: its record, its text and file, its constants, forecasts, and report."""
