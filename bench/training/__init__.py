"""One architecture trained from scratch, and tables of many."""
