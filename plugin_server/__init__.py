"""The server: avatars and live sessions over gRPC, HTTP and ZeroMQ, and its clients; no maths."""
