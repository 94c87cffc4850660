//! What the outside sees: the control socket, its protocol, and how answers are rendered.
