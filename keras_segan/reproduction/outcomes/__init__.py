"""What a run ends in: an enhanced waveform, prepared speech, a predicted score, or mapped features.

An outcome owns how systems are saved and scored, the lines of the table, the verdicts on the paper's claims,
plots, and what a comparison with published numbers needs beyond data and settings.
"""

from keras_segan.reproduction.outcomes.base import Outcome, Scores
from keras_segan.reproduction.outcomes.enhancement import Enhancement
from keras_segan.reproduction.outcomes.features import Features
from keras_segan.reproduction.outcomes.listening import Listening
from keras_segan.reproduction.outcomes.prediction import Prediction

__all__ = ["Enhancement", "Features", "Listening", "Outcome", "Prediction", "Scores"]
