//! Why a reference could not be replaced, in the words of whoever wrote it.

use super::problem::Finding;
use super::references::is_variable_name;
use super::tree::Span;

const LITERAL: &str = "write `$${` for a literal `${`";

/// Why a reference could not be replaced.
pub(super) enum Unresolved {
    /// The environment lacks this variable.
    Unset(String),
    /// This file could not be read, and why.
    File(String, String),
    /// The system gave no port.
    NoPort(String),
    /// `${free_port}` outside a backend.
    PortOutsideBackend,
    /// A reference that only another program can replace: `${input:token}`, `${workspaceFolder}`.
    Foreign(String),
    /// A `${...}` of no known form.
    NotAReference,
    /// A `${` without its `}`.
    Unclosed,
    /// References inside references, nested too deep.
    TooDeep,
}

impl Unresolved {
    /// Tells references of editors and other clients from what is no reference at all.
    pub(super) fn unknown(reference: &str) -> Self {
        match advice(reference) {
            Some(_) => Self::Foreign(reference.to_owned()),
            None => Self::NotAReference,
        }
    }

    /// A variable that is not set, unless only an editor would set it.
    pub(super) fn unset(name: &str) -> Self {
        match advice(name) {
            Some(_) => Self::Foreign(name.to_owned()),
            None => Self::Unset(name.to_owned()),
        }
    }

    /// The problem of a value at `span`.
    pub(super) fn at(self, span: Span) -> Finding {
        match self {
            Self::Unset(name) => {
                Finding::new(span, format!("environment variable `{name}` is not set"))
                    .suggest(format!("set it, or give a default: `${{{name}:-default}}`"))
            }
            Self::File(path, reason) => {
                Finding::new(span, format!("cannot read the file `{path}`: {reason}"))
            }
            Self::NoPort(reason) => Finding::new(span, format!("no free port: {reason}")),
            Self::PortOutsideBackend => Finding::new(
                span,
                "`${free_port}` has a meaning only inside a backend's entry",
            )
            .suggest("use port 0 to listen on a free port"),
            Self::Foreign(reference) => {
                let message = format!("only another program can replace `${{{reference}}}`");
                Finding::new(span, message).suggest(advice(&reference).unwrap_or_default())
            }
            Self::NotAReference => Finding::new(span, "not a reference: a `${...}` that is none of `${NAME}`, `${NAME:-default}`, `${file:/path}`, `${free_port}`")
                .suggest(LITERAL),
            Self::Unclosed => {
                Finding::new(span, "a `${` without its `}`").suggest(LITERAL)
            }
            Self::TooDeep => Finding::new(span, "references are nested too deep"),
        }
    }
}

/// What to write in place of a reference that an editor or another client would replace.
fn advice(reference: &str) -> Option<String> {
    match reference {
        "workspaceFolder" | "workspaceFolderBasename" | "workspaceRoot" | "projectRoot" => {
            return Some("write the directory itself; a relative `cwd` is relative to this file".to_owned());
        }
        "pathSeparator" | "/" => return Some("write `/`".to_owned()),
        _ => {}
    }
    let (source, name) = reference.split_once([':', '.'])?;
    let name = name.rsplit([':', '.', '/']).next().unwrap_or(name);
    let variable = name.replace('-', "_").to_ascii_uppercase();
    let is_known = matches!(
        source,
        "input" | "command" | "config" | "env" | "localEnv" | "secrets" | "secret" | "vars" | "vault" | "op"
    );
    (is_known && is_variable_name(&variable)).then(|| {
        format!(
            "write an environment variable, `${{{variable}}}`, or the contents of a file, `${{file:/path}}`"
        )
    })
}
