"""The plots that every report has, each from the records, and what all drawings share."""
