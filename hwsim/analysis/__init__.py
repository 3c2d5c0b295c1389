"""Studies of how a result comes about: a layer's arithmetic by hand, errors per layer."""
