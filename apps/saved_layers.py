"""Import the modules whose Keras layers occur in saved models, so that those can be loaded."""

from types import ModuleType

from apps import networks, temperature
from apps.recommender import content, dot_product, sequence_layers
from apps.regression import ensemble_layers, kernel_layer, shrinkage
from apps.regression import layers as regression_layers
from apps.text import layers as text_layers
from apps.text import ngram_layers
from pipelines.ids import preprocessing as ids
from pipelines.images import preprocessing as images
from pipelines.rows import encoders, list_items
from pipelines.rows import preprocessing as rows
from pipelines.texts import preprocessing as texts

MODULES: tuple[ModuleType, ...] = (
    networks,
    temperature,
    content,
    dot_product,
    sequence_layers,
    text_layers,
    ngram_layers,
    ensemble_layers,
    kernel_layer,
    regression_layers,
    shrinkage,
    encoders,
    list_items,
    rows,
    images,
    ids,
    texts,
)
