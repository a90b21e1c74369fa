"""Layers that the papers need and Keras 3 does not have; they run on every Keras backend."""

from keras_segan.layers.convolution import TiledConv2D
from keras_segan.layers.recurrent import keras2_hard_sigmoid
from keras_segan.layers.spectral_norm import SpectralNormalization

__all__ = ["SpectralNormalization", "TiledConv2D", "keras2_hard_sigmoid"]
