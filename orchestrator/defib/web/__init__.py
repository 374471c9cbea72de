"""The server: pages, API, metrics and health of a running engine.

    Server ─→ FrontDoor (host, headers) ─→ receivers' routes
                                        ─→ pages      ┐
                                        ─→ API, reads ├─→ Views (in a thread)
                                        ─→ API, steering ─→ Engine
                                        ─→ events (WebSocket) ─→ EventBus

Reading goes through the read model of :mod:`defib.engine.views.read_model` and never touches the engine's state;
whatever changes something needs the token of this run or a login with its CSRF token.
"""
