"""TensorFlow that computes each step as it comes.

To draw a network's graph takes longer than to train it for the few steps of a test.
"""

import tensorflow as tf

tf.config.run_functions_eagerly(True)
