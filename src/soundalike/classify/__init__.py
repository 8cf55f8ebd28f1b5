"""Labels for sounds: by their names alone (zero-shot), or learned from examples (few-shot).

Everything here works on arrays: vectors in, frozen values out; `soundalike.Library` has the same as methods.

    classifier = train(vectors, labels, pipeline=model.pipeline, model="pocket")
    classifier.save("kicks.json")
    Classifier.load("kicks.json").answer(new_vectors, pipeline=model.pipeline).names

Where to read: classifier (train, save, load), zeroshot, testing (cross-validation, learning curve), suggest
(what to label next), labels (folders and CSV files), picture (confusion matrix).
"""

from soundalike.classify.classifier import Answers, Classifier, train
from soundalike.classify.labels import read_labels
from soundalike.classify.picture import draw_confusion
from soundalike.classify.suggest import Suggestions, suggest
from soundalike.classify.testing import CurvePoint, Report, cross_validate, learning_curve
from soundalike.classify.zeroshot import NONE, PROMPTS, label_vectors, zero_shot

__all__ = [
    "NONE",
    "PROMPTS",
    "Answers",
    "Classifier",
    "CurvePoint",
    "Report",
    "Suggestions",
    "cross_validate",
    "draw_confusion",
    "label_vectors",
    "learning_curve",
    "read_labels",
    "suggest",
    "train",
    "zero_shot",
]
