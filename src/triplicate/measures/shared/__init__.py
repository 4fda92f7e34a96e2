"""What measures share: the names of columns, the lines of metrics.csv, and the scores of each class."""
