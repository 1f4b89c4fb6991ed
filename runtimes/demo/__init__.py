"""``fwexport demo``: a bundle as a page that a person opens, with every web runtime side by side.

``description.py`` is ``demo.json``, which the page reads; ``entries.py`` the runtimes that it may load; ``pictures.py`` the
samples to click on; ``licenses.py`` the npm packages of a page and what their licenses ask; ``site.py`` the list of all
files, by their URLs; ``publish.py`` serves it, or writes a static site.
"""
