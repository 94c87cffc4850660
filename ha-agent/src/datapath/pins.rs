//! The directory of pins.
