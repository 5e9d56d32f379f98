"""The night: the stages that turn a day of conversation into a new generation of the model."""
