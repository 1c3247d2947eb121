use super::*;

struct Client {
    mailbox: Arc<Mailbox>,
    owner: &'static str,
}

impl Client {
    fn new() -> Self {
        Self::of("ann")
    }

    fn of(owner: &'static str) -> Self {
        Self { mailbox: Arc::default(), owner }
    }

    fn wants(&self, uri: &str) -> Interest {
        Interest { mailbox: Arc::clone(&self.mailbox), uri: uri.into(), owner: self.owner.into() }
    }

    fn taken(&self) -> Vec<String> {
        self.mailbox.take().iter().map(ToString::to_string).collect()
    }
}

fn unseen() -> Option<Arc<str>> {
    None
}

#[test]
fn only_the_last_interest_ends_the_subscription() {
    let (mut registry, ann, bob) = (Registry::default(), Client::new(), Client::new());
    let (backend, local) = (Arc::from("b"), Arc::from("a://1"));
    registry.add(&backend, &local, ann.wants("a://1"));
    registry.add(&backend, &local, bob.wants("b+a://1"));
    assert!(!registry.remove("b", "a://1", &ann.wants("a://1")));
    assert!(!registry.remove("b", "a://1", &ann.wants("a://1")));
    registry.updated("b", "a://1", unseen);
    assert_eq!((ann.taken().len(), bob.taken()), (0, vec!["b+a://1".to_owned()]));
    assert!(registry.remove("b", "a://1", &bob.wants("b+a://1")));
    assert!(registry.by_backend.is_empty() && registry.share.total() == 0);
}

#[test]
fn a_client_that_takes_nothing_misses_only_repetitions() {
    let (mut registry, ann) = (Registry::default(), Client::new());
    for uri in ["a://1", "a://2"] {
        registry.add(&"b".into(), &uri.into(), ann.wants(uri));
    }
    for _ in 0..3 {
        registry.updated("b", "a://2", unseen);
        registry.updated("b", "a://1", unseen);
        registry.updated("other", "a://1", unseen);
    }
    assert_eq!(ann.taken(), ["a://1", "a://2"]);
    registry.updated("b", "a://1", unseen);
    assert_eq!(ann.taken(), ["a://1"]);
}

#[test]
fn who_watches_the_whole_hears_of_its_parts_and_no_others() {
    let (mut registry, ann) = (Registry::default(), Client::new());
    registry.add(&"b".into(), &"a://dir".into(), ann.wants("a://dir"));
    registry.updated("b", "a://dir/x/y", || Some("shown".into()));
    assert_eq!(ann.taken(), ["shown"]);
    registry.updated("b", "a://dir2/x", || Some("shown".into()));
    registry.updated("b", "a://dir/hidden", unseen);
    assert!(ann.taken().is_empty());
}

#[test]
fn parts_are_cut_at_every_separator() {
    let all: Vec<_> = containing("a://b/c?d").collect();
    assert_eq!(all, ["a://b/c?", "a://b/c", "a://b/", "a://b", "a://", "a:/", "a:/", "a:"]);
}

#[test]
fn the_bound_on_all_interests_holds() {
    let (mut registry, ann) = (Registry::default(), Client::new());
    let local = Arc::from("a://1");
    for n in 0..OVERALL {
        assert!(matches!(registry.add(&"b".into(), &local, ann.wants(&n.to_string())), Added::Entered));
    }
    assert!(matches!(registry.add(&"b".into(), &local, ann.wants("one more")), Added::Full));
    registry.remove("b", "a://1", &ann.wants("0"));
    assert!(matches!(registry.add(&"b".into(), &local, ann.wants("one more")), Added::Entered));
}

#[test]
fn who_watches_most_gives_way_to_another_and_hears_of_that_resource_once_more() {
    let (mut registry, ann, bob) = (Registry::default(), Client::of("ann"), Client::of("bob"));
    for n in 0..OVERALL {
        registry.add(&"b".into(), &Arc::from(format!("a://{n}")), ann.wants(&n.to_string()));
    }
    let Added::Displacing(Some((_, local))) = registry.add(&"c".into(), &"c://1".into(), bob.wants("c"))
    else {
        unreachable!()
    };
    let told = ann.taken();
    assert_eq!((told.len(), format!("a://{}", told[0])), (1, local.to_string()));
    assert!(!registry.has("b", &local, &ann.wants(&told[0])) && registry.has("c", "c://1", &bob.wants("c")));
    assert_eq!(registry.share.total(), OVERALL);
}

#[test]
fn who_begins_to_wait_late_learns_of_what_is_there() {
    let ann = Client::new();
    assert!(!ann.mailbox.arrived().has_changed().unwrap_or(true));
    ann.mailbox.put("a://1".into());
    assert!(ann.mailbox.arrived().has_changed().unwrap_or(false));
    ann.mailbox.discard("a://1");
    assert!(!ann.mailbox.arrived().has_changed().unwrap_or(true));
}
