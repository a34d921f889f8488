"""Errors that a user can mend: each message is one sentence or two that say what is wrong and what to do."""


class ProdgenError(Exception):
    """Any of them. The command line prints the message alone; every other exception is a fault of ours."""


class DataError(ProdgenError):
    """Data cannot be had, read or conditioned on as asked."""


class ModelError(ProdgenError):
    """A file holds no sound model of ours, or a model is asked for what it does not have."""


class TrainingError(ProdgenError):
    """Training cannot start or go on."""


class EvaluationError(ProdgenError):
    """A measurement cannot be made."""
