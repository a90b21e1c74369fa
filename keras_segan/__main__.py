"""`python -m keras_segan` is `kseg`."""

from keras_segan.cli import main

main()
