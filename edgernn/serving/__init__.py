"""A server of streams: each connection has one stream of a pool, and what they bring is computed together.

In: a Model, Limits, and what clients send (sessions: bytes of frames or samples). Out: answers, scores and decisions.
batcher: the pool, and the queue in front of it. session: one client's stream, without a network. connection: its
WebSocket. app: the server, and its HTTP (Starlette). running: the process. guard: who may come in. metrics: what
Prometheus reads. page.html: a browser's microphone.
May import: errors, layers, stream, pipelines, NumPy; starlette, uvicorn and prometheus_client (extra `serve`).
"""
