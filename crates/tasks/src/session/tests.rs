//! Sessions over a scripted server.
