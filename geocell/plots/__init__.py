"""Pictures: true and predicted locations and the cells of a partition over country outlines.

Maps are plate carrée, stretched so that the middle latitude has its true shape. Colours are safe for the common kinds
of colour blindness, and the same input gives the same PNG bytes.
"""

from geocell.plots.audit_chart import draw_audits
from geocell.plots.cells import draw_cell_maps, draw_cells
from geocell.plots.centroids import draw_centroids
from geocell.plots.panel import MapPanel
from geocell.plots.picture import draw_map, draw_maps
from geocell.plots.sweep_chart import draw_sweep

__all__ = [
    "MapPanel",
    "draw_audits",
    "draw_cell_maps",
    "draw_cells",
    "draw_centroids",
    "draw_map",
    "draw_maps",
    "draw_sweep",
]
