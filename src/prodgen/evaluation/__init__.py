"""How good are the pictures? Distances, fidelity and diversity, sharpness, likelihood, memorisation.

evaluate(model, data.load("fashion-mnist", "test")) measures it all; the parts are here one by one.
"""

from prodgen.errors import EvaluationError
from prodgen.evaluation.distances import frechet_distance, inception_fid, kernel_distance
from prodgen.evaluation.features import extract, inception_features, predict
from prodgen.evaluation.images import class_histogram, label_agreement, nearest_neighbours, sharpness
from prodgen.evaluation.likelihood import elbo, importance_weighted
from prodgen.evaluation.manifold import precision_recall_density_coverage
from prodgen.evaluation.report import evaluate
from prodgen.evaluation.statistics import Estimate, t_interval

__all__ = [
    "Estimate",
    "EvaluationError",
    "class_histogram",
    "elbo",
    "evaluate",
    "extract",
    "frechet_distance",
    "importance_weighted",
    "inception_features",
    "inception_fid",
    "kernel_distance",
    "label_agreement",
    "nearest_neighbours",
    "precision_recall_density_coverage",
    "predict",
    "sharpness",
    "t_interval",
]
