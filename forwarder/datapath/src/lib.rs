//! The pure packet path: map cache, encapsulation, decapsulation, load balancing, MTU.
