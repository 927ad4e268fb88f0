"""The portal: server-rendered pages for the people who send, watch and look up messages.

``app.setup`` mounts it. A page is one module of ``pages/`` (thin handlers) with its template; who may do what
stands in ``rights``; everything that keeps strangers out stands in ``security`` and ``auth``.
"""
