//! Parcels as files, for a person to carry: out into a bundle, and in from one.

pub(super) mod carry_in;
pub(super) mod carry_out;
