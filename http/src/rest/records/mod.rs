//! Records: listed, read, decided on, taken back, passed on.

pub(super) mod approve;
pub(super) mod attachment;
pub(super) mod consent;
pub(super) mod copies;
pub(super) mod correct;
pub(super) mod list;
pub(super) mod open;
pub(super) mod preview;
pub(super) mod recall;
pub(super) mod release;
