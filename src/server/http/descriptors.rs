//! How many connections can there be, given how many file descriptors the process may have?

use rustix::process::{Resource, getrlimit};

/// At most `wanted`, and at most half of the descriptors: the rest is for backends and files.
pub(super) fn connections(wanted: usize) -> usize {
    bounded(wanted, getrlimit(Resource::Nofile).current)
}

fn bounded(wanted: usize, descriptors: Option<u64>) -> usize {
    let half = descriptors.and_then(|most| usize::try_from(most / 2).ok()).unwrap_or(usize::MAX).max(1);
    if wanted > half {
        tracing::info!(wanted, connections = half, "connections are bounded by half of the file descriptors");
    }
    wanted.min(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_are_left_for_others() {
        assert_eq!(bounded(4096, Some(1024)), 512);
        assert_eq!(bounded(100, Some(1024)), 100);
        assert_eq!(bounded(4096, None), 4096);
        assert_eq!(bounded(4096, Some(1)), 1, "somebody has to be served");
    }
}
