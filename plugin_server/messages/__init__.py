"""Messages of gRPC and drive packets <-> types: what comes in is checked here, once."""
