"""When is a question decided? Tests that may be looked at after every pair of seeds."""
