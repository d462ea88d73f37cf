"""How well scores of sub-networks rank architectures: the protocol, the evaluator, the panel."""
