"""From a stack of runs to their results: model, order, optimizer, loop, measures."""
