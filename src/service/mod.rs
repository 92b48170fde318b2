//! SEALED ROOM: the centre. Never sees an identifier or a linkage key.

pub mod policy;
