//! Sites in network namespaces, the WAN delay line, traffic and the sandbox fabric.
