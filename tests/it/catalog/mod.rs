//! Is what clients see complete, current, and quiet when nothing changed?

mod apps;
mod audience;
mod changes;
mod kept;
mod lookup;
mod pages;
mod skills;
