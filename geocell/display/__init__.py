"""How objects show themselves in a notebook: a title, facts, small tables and a picture, as HTML."""

from geocell.display.html import Display as Display
from geocell.display.html import TextTable as TextTable
from geocell.display.numbers import km_text as km_text
from geocell.display.numbers import percent as percent
from geocell.display.numbers import share_text as share_text
