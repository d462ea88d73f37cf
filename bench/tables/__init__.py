"""Files of accuracies: what their columns are called, one row a cell or one row a trial, safe reading."""
