"""``fwexport demo``: a bundle as a page that a person opens, with every web runtime side by side.

``description.py`` is ``demo.json``, which the page reads; ``site.py`` the list of all files, by their URLs;
``pictures.py`` the samples to click on; ``publish.py`` serves the list, or writes it as a static site.
"""
