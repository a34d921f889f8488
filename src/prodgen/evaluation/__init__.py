"""How good are the pictures? Distances, fidelity and diversity, sharpness, likelihood, memorisation.

evaluate(model, data.load("fashion-mnist", "test")) measures it all; the parts are here one by one.
judge(claim) says what the numbers of several seeds come to, for each of recorded.claims().
"""

from prodgen.errors import EvaluationError
from prodgen.evaluation.distances import frechet_distance, inception_fid, kernel_distance
from prodgen.evaluation.factors import factor_errors, read_factors
from prodgen.evaluation.features import extract, inception_features, predict
from prodgen.evaluation.images import class_histogram, label_agreement, nearest_neighbours, sharpness
from prodgen.evaluation.likelihood import elbo, importance_weighted
from prodgen.evaluation.manifold import precision_recall_density_coverage
from prodgen.evaluation.memorisation import RARE, Nearest, nearest_photos, network_for
from prodgen.evaluation.report import evaluate
from prodgen.evaluation.statistics import (
    Estimate,
    odds_ratio_interval,
    seeds_needed,
    share_interval,
    t_interval,
)
from prodgen.evaluation.verdicts import Evidence, Verdict, evidence, judge, verdict, wrong_controls

__all__ = [
    "RARE",
    "Estimate",
    "EvaluationError",
    "Evidence",
    "Nearest",
    "Verdict",
    "class_histogram",
    "elbo",
    "evaluate",
    "evidence",
    "extract",
    "factor_errors",
    "frechet_distance",
    "importance_weighted",
    "inception_features",
    "inception_fid",
    "judge",
    "kernel_distance",
    "label_agreement",
    "nearest_neighbours",
    "nearest_photos",
    "network_for",
    "odds_ratio_interval",
    "precision_recall_density_coverage",
    "predict",
    "read_factors",
    "seeds_needed",
    "share_interval",
    "sharpness",
    "t_interval",
    "verdict",
    "wrong_controls",
]
