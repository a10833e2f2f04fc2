//! A disk in memory below SQLite: it notes everything that is done to it, fails where it is told to, and loses power.
//!
//! For development only; no product crate depends on it. A [`Disk`] is mounted in place of a folder, and from then on
//! SQLite finds its files there, because `vfs` is what SQLite opens files with by default in this process. [`cut`]
//! gives what a disk may hold after its power was cut. Nothing here knows what the files mean.

pub mod cut;
mod disk;
mod locks;
mod vfs;

pub use disk::{Calls, Disk, Fault, Image, Op, Planned};
pub use vfs::Mount;
