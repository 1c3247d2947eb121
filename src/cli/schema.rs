//! `switchyard schema`

use std::process::ExitCode;

use crate::config::json_schema;

use super::output::print_json;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    print_json(&json_schema())?;
    Ok(ExitCode::SUCCESS)
}
