"""What is asked: the ablation file, its settings in layers, safe YAML, criteria."""
