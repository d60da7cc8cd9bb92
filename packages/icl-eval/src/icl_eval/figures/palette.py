"""The palette of all figures: colours that the colour-blind tell apart, markers, and the size of text."""

from matplotlib.colors import LinearSegmentedColormap, to_hex

INK, FAINT, PAPER = "#1f2328", "#d5d9de", "#ffffff"  # text and axes, grid and ticks, background
# Blue and orange stay apart for all common forms of colour blindness, and so do the others (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, PLUM, OLIVE, GREY = COLOURS = ("#0067a3", "#c65300", "#007a5a", "#a8487f", "#8a6d00", "#55606b")
SHADE = "#4a98c9"  # of cells; pale enough on paper, and dark enough in the dark, for text of ink
MOST_SHADES = 12  # of a sweep
SWEEP = tuple(
    to_hex(LinearSegmentedColormap.from_list("sweep", [BLUE, PLUM, ORANGE])(place / (MOST_SHADES - 1)))
    for place in range(MOST_SHADES)
)
"""Colours from blue by plum to orange, for what is graded by a number."""

MARKERS = ("o", "s", "^", "D", "v", "P")
DOTTED = (0, (1.5, 2.5))  # of chance, and of what else is known without measuring
TEXT = 9.5  # points, of the names of axes
