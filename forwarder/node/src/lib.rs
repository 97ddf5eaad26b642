//! The LISP node's control machines: xTR, Map-Server, Map-Resolver, probing, mobility. No I/O.
