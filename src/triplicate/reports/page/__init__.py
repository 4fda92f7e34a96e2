"""The pages that people look at: report.html of a sweep, and index.html over a folder of sweeps.

`content.py` gathers what a page says, `curves.py`, `traces.py`, `matrices.py` and `pictures.py` what it shows;
`charts.py` has the specifications of the charts in Vega-Lite, and `library.py` the library that draws them. `write.py`
puts them into the templates. A page is one file that needs no network: styles, script, library and data are in it.
"""
