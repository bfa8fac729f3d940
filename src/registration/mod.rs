//! A model wants in: it is opened, bound and scored in a throw-away process, proved against its golden rows and the other
//! engine, and written.
//!
//! What may enter: the try-out, its process, what is proved there, and the writing of what was proved. What may not: how a
//! registered version is found and scored ([`crate::scoring`]).

pub mod child;
pub mod proof;
pub mod trial;
pub mod write;
