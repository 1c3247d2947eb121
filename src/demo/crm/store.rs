//! How are customers and notes kept, found and changed?
//!
//! One SQLite file in WAL mode, so that several processes may share it and a restart loses nothing. Every statement
//! runs on a blocking thread, one at a time: the async side waits for the connection, never for the disk.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::Connection;
use tokio::sync::Mutex;

use super::{
    queries,
    records::{Changes, Customer, Dossier, NewCustomer, Note, Page, Summary},
    seed,
};

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the store did not do what it was asked; the text is written for the model that asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("no customer {0}; find_customer searches by name, company or e-mail")]
    NoCustomer(i64),
    #[error("{email} already belongs to customer {id}; change that one with update_customer")]
    EmailTaken { email: String, id: i64 },
    #[error("nothing to change; give at least one of name, email, company, status")]
    NothingToChange,
    #[error("{field} {rule}")]
    Invalid { field: &'static str, rule: &'static str },
    #[error("the customer database failed ({0}); try again")]
    Database(#[from] rusqlite::Error),
    #[error("the customer database is shutting down")]
    ShuttingDown,
}

pub(super) type Result<T> = std::result::Result<T, StoreError>;

/// A shared handle on the database.
#[derive(Clone)]
pub(super) struct Store {
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the database, and creates it with the fictional customers if it is new. Blocks.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "normal")?;
        seed::create(&mut connection)?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub(super) async fn find(&self, query: String) -> Result<Vec<Customer>> {
        self.run(move |connection| queries::find(connection, &query)).await
    }

    pub(super) async fn page(&self, limit: u32, offset: u32) -> Result<Page> {
        self.run(move |connection| queries::page(connection, limit, offset)).await
    }

    pub(super) async fn customer(&self, id: i64) -> Result<Customer> {
        self.run(move |connection| queries::customer(connection, id)).await
    }

    pub(super) async fn create(&self, new: NewCustomer) -> Result<Customer> {
        self.run(move |connection| queries::create(connection, &new)).await
    }

    pub(super) async fn update(&self, changes: Changes) -> Result<Customer> {
        self.run(move |connection| queries::update(connection, &changes)).await
    }

    pub(super) async fn add_note(&self, customer_id: i64, text: String) -> Result<Note> {
        self.run(move |connection| queries::add_note(connection, customer_id, &text)).await
    }

    pub(super) async fn notes(&self, customer_id: i64) -> Result<Vec<Note>> {
        self.dossier(customer_id).await.map(|dossier| dossier.notes)
    }

    pub(super) async fn dossier(&self, id: i64) -> Result<Dossier> {
        let read = move |connection: &Connection| {
            Ok(Dossier {
                customer: queries::customer(connection, id)?,
                notes: queries::notes(connection, id)?,
            })
        };
        self.run(read).await
    }

    pub(super) async fn summary(&self) -> Result<Summary> {
        self.run(queries::summary).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = Arc::clone(&self.connection).lock_owned().await;
        tokio::task::spawn_blocking(move || work(&connection)).await.map_err(|_| StoreError::ShuttingDown)?
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::demo::crm::records::Status;

    fn scratch() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("crm.db")).unwrap();
        (directory, store)
    }

    fn new(email: &str) -> NewCustomer {
        NewCustomer { name: "Zora Test".into(), email: email.into(), company: None }
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_a_restart_and_the_seed_is_not_repeated() {
        let (directory, store) = scratch();
        let before = store.summary().await.unwrap();
        let id = store.create(new("zora@example.com")).await.unwrap().id;
        store.add_note(id, "called".into()).await.unwrap();
        drop(store);
        let store = Store::open(&directory.path().join("crm.db")).unwrap();
        let after = store.summary().await.unwrap();
        assert_eq!((after.customers, after.notes), (before.customers + 1, before.notes + 1));
        assert_eq!(store.notes(id).await.unwrap()[0].text, "called");
    }

    #[test]
    fn processes_that_start_together_seed_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crm.db");
        let open = || Store::open(&path).map(|_| ());
        std::thread::scope(|scope| {
            let openers: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            openers.into_iter().for_each(|opener| opener.join().unwrap().unwrap());
        });
        let count = |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM customers", [], |row| row.get::<_, i64>(0))
        };
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 12);
    }

    #[tokio::test]
    async fn every_word_must_occur_in_any_of_the_fields_and_nothing_is_a_wildcard() {
        let (_directory, store) = scratch();
        let names = async |query: &str| {
            let found = store.find(query.into()).await.unwrap();
            found.into_iter().map(|customer| customer.name).collect::<Vec<_>>()
        };
        assert_eq!(names("lantern PAPER").await, ["Ada Quill", "Ines Corvalho"]);
        assert_eq!(names("ines lantern").await, ["Ines Corvalho"]);
        assert_eq!(names("katinka@example.com").await, ["Katinka Brzoza"]);
        assert!(names("%").await.is_empty());
        assert!(store.find("  ".into()).await.is_err());
    }

    #[tokio::test]
    async fn an_update_changes_what_it_names_and_nothing_else() {
        let (_directory, store) = scratch();
        let before = store.customer(1).await.unwrap();
        let changes = Changes { id: 1, status: Some(Status::Paused), ..Changes::default() };
        let after = store.update(changes).await.unwrap();
        assert_eq!(after.status, Status::Paused);
        assert_eq!(
            (&after.name, &after.email, &after.company),
            (&before.name, &before.email, &before.company)
        );
        let changes = Changes { id: 1, company: Some(String::new()), ..Changes::default() };
        assert_eq!(store.update(changes).await.unwrap().company, None);
    }

    #[tokio::test]
    async fn refusals_say_what_to_do_instead() {
        let (_directory, store) = scratch();
        let missing = store.customer(99).await.unwrap_err().to_string();
        assert_eq!(missing, "no customer 99; find_customer searches by name, company or e-mail");
        let taken = store.create(new("ADA.quill@example.com")).await.unwrap_err().to_string();
        assert!(
            taken.ends_with("already belongs to customer 1; change that one with update_customer"),
            "{taken}"
        );
        let moved = Changes { id: 2, email: Some("ada.quill@example.com".into()), ..Changes::default() };
        assert!(matches!(store.update(moved).await, Err(StoreError::EmailTaken { id: 1, .. })));
        assert!(matches!(store.update(Changes::default()).await, Err(StoreError::NothingToChange)));
        assert!(matches!(
            store.create(new("nowhere")).await,
            Err(StoreError::Invalid { field: "email", .. })
        ));
        assert!(matches!(store.add_note(99, "x".into()).await, Err(StoreError::NoCustomer(99))));
    }

    #[tokio::test]
    async fn the_pages_hold_every_customer_once() {
        let (_directory, store) = scratch();
        let (mut ids, mut offset) = (Vec::new(), Some(0));
        while let Some(from) = offset {
            let page = store.page(5, from).await.unwrap();
            ids.extend(page.customers.iter().map(|customer| customer.id));
            offset = page.next_offset;
        }
        assert_eq!(ids, (1..=12).collect::<Vec<i64>>());
        assert!(store.page(5, u32::MAX).await.unwrap().customers.is_empty());
    }
}
