//! Acts: what members do, one file for each noun.
//!
//! Each act is decided whole against what is held, and gives its outcome and a plan. None writes by itself.

pub mod agreement;
pub mod consent;
pub mod directory;
pub mod draft;
pub mod emergency;
pub mod expire;
pub mod member;
pub mod open;
pub mod recall;
pub mod release;
pub mod review;
pub mod who_has;
