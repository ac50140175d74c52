"""A BERT model of sentence-transformers on NumPy alone."""
