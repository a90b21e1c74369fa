"""Layers that the papers need and Keras 3 does not have; they run on every Keras backend."""

from keras_segan.layers.channel_prelu import ChannelPReLU
from keras_segan.layers.convolution import TiledConv2D
from keras_segan.layers.cumulative_norm import CumulativeLayerNormalization
from keras_segan.layers.gate_dropout_lstm import GateBias, GateDropoutLSTM
from keras_segan.layers.learnable_sigmoid import LearnableSigmoid
from keras_segan.layers.mean_over_time import MeanOverTime, Squeeze
from keras_segan.layers.recurrent import LSTM, Bidirectional, keras2_hard_sigmoid
from keras_segan.layers.reference_norm import ReferenceBatchNormalization
from keras_segan.layers.resampling import Decimation, LinearUpsampling
from keras_segan.layers.rows import Columns
from keras_segan.layers.spectral_norm import SpectralNormalization
from keras_segan.layers.two_bias_lstm import TwoBiasLSTM
from keras_segan.layers.unbiased_norm import UnbiasedBatchNormalization

__all__ = [
    "LSTM",
    "Bidirectional",
    "ChannelPReLU",
    "Columns",
    "CumulativeLayerNormalization",
    "Decimation",
    "GateBias",
    "GateDropoutLSTM",
    "LearnableSigmoid",
    "LinearUpsampling",
    "MeanOverTime",
    "ReferenceBatchNormalization",
    "SpectralNormalization",
    "Squeeze",
    "TiledConv2D",
    "TwoBiasLSTM",
    "UnbiasedBatchNormalization",
    "keras2_hard_sigmoid",
]
