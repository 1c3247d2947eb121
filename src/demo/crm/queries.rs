//! Which SQL answers which question, and what is refused before it is written?

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{
    records::{Changes, Customer, NewCustomer, Note, Page, Status, Summary},
    store::{Result, StoreError},
};

const MAX_MATCHES: usize = 20;
const MAX_NOTES: u32 = 100;
const MAX_FIELD_CHARS: usize = 200;
const MAX_NOTE_CHARS: usize = 10_000;
const COLUMNS: &str = "id, name, email, company, status, created_at, updated_at";

/// Customers in whose name, company or e-mail every word of `query` occurs.
pub(super) fn find(connection: &Connection, query: &str) -> Result<Vec<Customer>> {
    let words: Vec<&str> = query.split_whitespace().take(8).collect();
    if words.is_empty() {
        return Err(StoreError::Invalid {
            field: "query",
            rule: "must have at least one word; list_customers shows all",
        });
    }
    let condition =
        vec!["instr(lower(name || ' ' || ifnull(company, '') || ' ' || email), lower(?)) > 0"; words.len()]
            .join(" AND ");
    let sql = format!("SELECT {COLUMNS} FROM customers WHERE {condition} ORDER BY name LIMIT {MAX_MATCHES}");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(words), read_customer)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn page(connection: &Connection, limit: u32, offset: u32) -> Result<Page> {
    let total: u32 = connection.query_row("SELECT count(*) FROM customers", [], |row| row.get(0))?;
    let sql = format!("SELECT {COLUMNS} FROM customers ORDER BY id LIMIT ?1 OFFSET ?2");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![limit, offset.min(total)], read_customer)?;
    let customers = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let end = offset.min(total).saturating_add(limit);
    Ok(Page { customers, total, next_offset: (end < total).then_some(end) })
}

pub(super) fn customer(connection: &Connection, id: i64) -> Result<Customer> {
    let sql = format!("SELECT {COLUMNS} FROM customers WHERE id = ?1");
    let found = connection.query_row(&sql, [id], read_customer).optional()?;
    found.ok_or(StoreError::NoCustomer(id))
}

pub(super) fn create(connection: &Connection, new: &NewCustomer) -> Result<Customer> {
    let (name, email) = (checked_name(&new.name)?, checked_email(&new.email)?);
    let company = new.company.as_deref().map(checked_company).transpose()?.flatten();
    let sql = format!("INSERT INTO customers (name, email, company) VALUES (?1, ?2, ?3) RETURNING {COLUMNS}");
    let created = connection.query_row(&sql, params![name, email, company], read_customer);
    created.map_err(|error| explain_conflict(connection, error, email))
}

pub(super) fn update(connection: &Connection, changes: &Changes) -> Result<Customer> {
    let Changes { id, name, email, company, status } = changes;
    if name.is_none() && email.is_none() && company.is_none() && status.is_none() {
        return Err(StoreError::NothingToChange);
    }
    let name = name.as_deref().map(checked_name).transpose()?;
    let email = email.as_deref().map(checked_email).transpose()?;
    let company = company.as_deref().map(checked_company).transpose()?;
    let sql = format!(
        "UPDATE customers SET name = ifnull(?2, name), email = ifnull(?3, email), status = ifnull(?4, status),
             company = CASE WHEN ?5 THEN ?6 ELSE company END, updated_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
         WHERE id = ?1 RETURNING {COLUMNS}"
    );
    let values = params![id, name, email, status.map(Status::as_str), company.is_some(), company.flatten()];
    let updated = connection.query_row(&sql, values, read_customer).optional();
    let updated = updated.map_err(|error| explain_conflict(connection, error, email.unwrap_or_default()))?;
    updated.ok_or(StoreError::NoCustomer(*id))
}

pub(super) fn add_note(connection: &Connection, customer_id: i64, text: &str) -> Result<Note> {
    let text = bounded("text", text, MAX_NOTE_CHARS, "must have 1 to 10000 characters")?;
    customer(connection, customer_id)?;
    let sql =
        "INSERT INTO notes (customer_id, text) VALUES (?1, ?2) RETURNING id, customer_id, text, created_at";
    Ok(connection.query_row(sql, params![customer_id, text], read_note)?)
}

pub(super) fn notes(connection: &Connection, customer_id: i64) -> Result<Vec<Note>> {
    let sql = "SELECT id, customer_id, text, created_at FROM notes WHERE customer_id = ?1 ORDER BY id DESC LIMIT ?2";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params![customer_id, MAX_NOTES], read_note)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn summary(connection: &Connection) -> Result<Summary> {
    let count = |sql, parameter: &str| connection.query_row(sql, [parameter], |row| row.get::<_, u32>(0));
    let by_status = Status::ALL.map(Status::as_str).into_iter();
    let by_status = by_status
        .map(|status| Ok((status, count("SELECT count(*) FROM customers WHERE status = ?1", status)?)))
        .collect::<rusqlite::Result<BTreeMap<_, _>>>()?;
    let notes = connection.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?;
    Ok(Summary { customers: by_status.values().sum(), notes, by_status })
}

fn read_customer(row: &Row<'_>) -> rusqlite::Result<Customer> {
    Ok(Customer {
        id: row.get(0)?,
        name: row.get(1)?,
        email: row.get(2)?,
        company: row.get(3)?,
        // A status written by some later version is shown as the most careful one we know.
        status: Status::parse(&row.get::<_, String>(4)?).unwrap_or(Status::Paused),
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

fn read_note(row: &Row<'_>) -> rusqlite::Result<Note> {
    Ok(Note { id: row.get(0)?, customer_id: row.get(1)?, text: row.get(2)?, created_at: row.get(3)? })
}

fn checked_name(name: &str) -> Result<&str> {
    bounded("name", name, MAX_FIELD_CHARS, "must have 1 to 200 characters")
}

fn checked_email(email: &str) -> Result<&str> {
    let rule = "must be an address such as ada@example.com, at most 200 characters";
    let email = bounded("email", email, MAX_FIELD_CHARS, rule)?;
    let parts = email.split_once('@').filter(|(mailbox, host)| !mailbox.is_empty() && !host.is_empty());
    let sound = parts.is_some() && !email.contains(char::is_whitespace);
    sound.then_some(email).ok_or(StoreError::Invalid { field: "email", rule })
}

fn checked_company(company: &str) -> Result<Option<&str>> {
    if company.trim().is_empty() {
        return Ok(None);
    }
    bounded("company", company, MAX_FIELD_CHARS, "must have at most 200 characters").map(Some)
}

fn bounded<'a>(field: &'static str, text: &'a str, max: usize, rule: &'static str) -> Result<&'a str> {
    let text = text.trim();
    let sound = !text.is_empty() && text.chars().count() <= max;
    sound.then_some(text).ok_or(StoreError::Invalid { field, rule })
}

/// Says whose address it is, if that is why a row was refused.
fn explain_conflict(connection: &Connection, error: rusqlite::Error, email: &str) -> StoreError {
    let taken = error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation);
    let sql = "SELECT id FROM customers WHERE email = ?1";
    match connection.query_row(sql, [email], |row| row.get(0)) {
        Ok(id) if taken => StoreError::EmailTaken { email: email.to_owned(), id },
        _ => StoreError::Database(error),
    }
}
