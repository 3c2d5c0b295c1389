"""TensorFlow Lite's own interpreters, run in another process, to hold hwsim's tensors against."""
