//! What is in a new CRM database?
//!
//! All names are made up, and all addresses end in `example.com`, which nobody can own (RFC 2606).

use rusqlite::{Connection, TransactionBehavior, params};

const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE customers (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        name       TEXT NOT NULL,
        email      TEXT NOT NULL UNIQUE COLLATE NOCASE,
        company    TEXT,
        status     TEXT NOT NULL DEFAULT 'lead',
        created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
        updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
    );
    CREATE TABLE notes (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        customer_id INTEGER NOT NULL REFERENCES customers (id),
        text        TEXT NOT NULL,
        created_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
    );
    CREATE INDEX notes_by_customer ON notes (customer_id, id);
";

/// Name, mailbox at `example.com`, company, status, notes from oldest to newest.
type Seed = (&'static str, &'static str, Option<&'static str>, &'static str, &'static [&'static str]);

const CUSTOMERS: &[Seed] = &[
    (
        "Ada Quill",
        "ada.quill",
        Some("Paper Lantern Press"),
        "active",
        &[
            "Prints all its catalogues with us since spring.",
            "Asked whether delivery can move from Friday to Wednesday; promised an answer this week.",
        ],
    ),
    (
        "Bram Oosterling",
        "bram",
        Some("Tulip & Torque Bicycles"),
        "active",
        &["Doubled the yearly order. Wants one invoice per shop, not one per delivery."],
    ),
    (
        "Chiyo Marumoto",
        "chiyo",
        Some("Quiet Kettle Teahouse"),
        "lead",
        &["Met at the trade fair; liked the sample box, price was too high for the small size."],
    ),
    ("Dario Pennyweather", "dario", Some("Pennyweather & Daughters Clocks"), "active", &[]),
    (
        "Esi Amponlo",
        "esi",
        Some("Blue Baobab Logistics"),
        "paused",
        &["Moving to a new warehouse; asked us to call again after the move."],
    ),
    (
        "Finnbar Loughty",
        "finnbar",
        Some("Seven Puddles Rainwear"),
        "active",
        &["Prefers the phone to e-mail."],
    ),
    (
        "Greta Himmelstich",
        "greta",
        Some("Cloudstitch Upholstery"),
        "churned",
        &["Left for a supplier next door. No hard feelings; would come back for same-day delivery."],
    ),
    (
        "Hassan Al-Mirwah",
        "hassan",
        Some("Date & Dune Confectioners"),
        "lead",
        &["Wants the list of allergens before the first order."],
    ),
    (
        "Ines Corvalho",
        "ines",
        Some("Paper Lantern Press"),
        "active",
        &["Takes over accounts from Ada in autumn."],
    ),
    ("Jonas Wobbler", "jonas", None, "lead", &[]),
    (
        "Katinka Brzoza",
        "katinka",
        Some("Birch & Barley Bakery"),
        "active",
        &["Reported two crates damaged in transit; replaced free of charge."],
    ),
    (
        "Leopold Fizz",
        "leopold",
        Some("Fizz Fountain Works"),
        "paused",
        &["Waiting for his new budget in January."],
    ),
];

/// Creates and fills the tables unless another process has done it already.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    // Immediate: of two processes that start together, one waits here and then finds the work done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
        CUSTOMERS.iter().try_for_each(|seed| insert(&transaction, seed))?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

fn insert(connection: &Connection, (name, mailbox, company, status, notes): &Seed) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO customers (name, email, company, status) VALUES (?1, ?2 || '@example.com', ?3, ?4)",
        params![name, mailbox, company, status],
    )?;
    let id = connection.last_insert_rowid();
    for text in *notes {
        connection.execute("INSERT INTO notes (customer_id, text) VALUES (?1, ?2)", params![id, text])?;
    }
    Ok(())
}
