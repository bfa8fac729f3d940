//! A model wants in: it is opened, bound and scored in a throw-away process, proved against its golden rows and the other
//! engine, and written.
//!
//! What may enter: the try-out, its process, what is proved there, and the writing of what was proved. What may not: how a
//! registered version is found and scored ([`crate::scoring`]).
//!
//! In order: `api::register` checks names and size and has the model tried out ([`trial`]); what happens in the process ([`crate::pg::child`]) is
//! [`proof`]'s.
//!
//! * A graph is decoded and guarded, its interface read and completed with the options and the signature; ONNX Runtime loads it and
//!   scores a row of samples and the golden rows. Then it is compiled, and varied rows and the golden rows are scored with both
//!   engines and every set of instructions that the processor has. A plan whose steps are all exact must agree to the bit, another
//!   one to what rounding can reach. If it does, the engine is `native`; if not, or if a node was refused, the runtime, with the
//!   reason.
//! * A file of a training library is read into interface, ensemble and link and compiled; the sets of instructions are compared
//!   with each other, the golden rows with what is expected. The runtime is not loaded.
//!
//! What was found comes back through a pipe as JSON, the compiled form behind it, or the error does. Then [`write`]: artifact and
//! compiled form, a row of the registry, and for the first version a deployment. The interface is stored beside the version and never
//! computed again: an upgrade of the code does not change what a registered model means.

mod cost;
pub mod proof;
mod times;
pub mod trial;
pub mod write;
