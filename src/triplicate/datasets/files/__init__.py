"""How files become tensors: what several data sets share."""
