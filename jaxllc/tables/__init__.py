"""Tables as somebody has them: files and frames, their headers, labels and cells, read as numbers."""
