"""Forward and backward passes written out in NumPy, to be read: `model.backend=numpy`.

Each layer maps inputs to outputs (`forward`) and the gradient of the loss with respect to its outputs, called
`gradient`, to those with respect to its parameters (`parameter_gradients`) and its inputs (`input_gradient`).
Everything is vectorised over the batch, in float32 or float64. Activations and losses stand with
their parts; what torch and NumPy share is in `training/numpy_network.py`.
"""
