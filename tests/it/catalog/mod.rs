//! Is what clients see complete, current, and quiet when nothing changed?

mod apps;
mod audience;
mod changes;
mod expensive;
mod first_start;
mod freshness;
mod kept;
mod lookup;
mod odd_entries;
mod pages;
mod skills;
mod unlisted;
