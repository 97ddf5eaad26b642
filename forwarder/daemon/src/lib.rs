//! The forwarder process: threads, sockets, timers, control socket.
