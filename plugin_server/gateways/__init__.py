"""Where capture apps' packets come in: sockets, who may send, and which sessions listen.

Everything runs on the server's event loop and nothing waits for anything: a packet is read, laid
over the session's face, and left for the render thread, in place of one that was not drawn yet.
"""
