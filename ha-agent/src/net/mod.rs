//! The edges to the kernel: netlink, raw sockets, interfaces.
