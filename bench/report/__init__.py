"""What comes out of an ablation: the summary, its tables, figures, and the one-page HTML."""
