//! Several NICs, in network namespaces of their own.

mod discovery;
