//! Is what clients see complete, current, and quiet when nothing changed?

mod audience;
mod changes;
mod kept;
mod lookup;
mod pages;
