//! How is a problem told: place, message, excerpt, suggestion, all of them at once.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::excerpt::Text;
use super::tree::Span;

/// What to do where there is no configuration file.
const WITHOUT_FILE: &str = "name another file with --config, or begin with one that holds `backends: { name: { command: … } }`; \
     a `.mcp.json` is one too";

/// Everything wrong with one configuration file; nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file, as it was named.
    pub path: PathBuf,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
    /// Every other file that was asked for: the problem may be in one of them.
    pub files: Vec<PathBuf>,
    /// Whether the file asks for a log in JSON, as far as it could be read.
    pub wants_json_log: bool,
}

/// One thing wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 when the problem has no place in the text.
    pub line: usize,
    /// From 1, in characters; 0 when the problem has no place in the text.
    pub column: usize,
    /// What is wrong, and where in the operator's own words.
    pub message: String,
    /// The line, secrets masked.
    pub excerpt: Option<Excerpt>,
    /// What to do about it.
    pub suggestion: Option<String>,
}

/// A line of the file and the part of it that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line's text, secrets masked.
    pub text: String,
    /// Characters before the part in question.
    pub offset: usize,
    /// Characters of the part in question, at least 1.
    pub width: usize,
}

/// A problem before its excerpt is taken from the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

impl Finding {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), suggestion: None }
    }

    pub(crate) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl Problems {
    pub(crate) fn new(path: &Path, text: &Text<'_>, findings: Vec<Finding>) -> Self {
        let (files, wants_json_log) = (Vec::new(), false);
        Self { path: path.to_owned(), problems: text.problems(findings), files, wants_json_log }
    }

    /// A file that could not be read at all.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let problem = Problem {
            line: 0,
            column: 0,
            message: format!("cannot be read: {error}"),
            excerpt: None,
            suggestion: (error.kind() == std::io::ErrorKind::NotFound).then(|| WITHOUT_FILE.to_owned()),
        };
        let (files, wants_json_log) = (Vec::new(), false);
        Self { path: path.to_owned(), problems: vec![problem], files, wants_json_log }
    }

    /// For programs: the file, and each problem with its place.
    pub fn to_json(&self) -> Value {
        let problems: Vec<Value> = self.problems.iter().map(Problem::to_json).collect();
        json!({ "ok": false, "file": self.path, "problems": problems })
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            problem.render(&self.path, f)?;
        }
        match self.problems.len() {
            1 => f.write_str("1 problem; nothing was started"),
            count => write!(f, "{count} problems; nothing was started"),
        }
    }
}

impl fmt::Display for Problem {
    /// One line: place, message, suggestion.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

impl Problem {
    /// A place that is not known is null.
    fn to_json(&self) -> Value {
        let known = |place: usize| (place > 0).then_some(place);
        json!({
            "line": known(self.line),
            "column": known(self.column),
            "message": self.message,
            "suggestion": self.suggestion,
        })
    }

    fn render(&self, path: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", path.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        writeln!(f, " {}", self.message)?;
        let gutter = self.line.to_string();
        let blank = " ".repeat(gutter.len());
        if let Some(excerpt) = &self.excerpt {
            let (offset, marks) = (" ".repeat(excerpt.offset), "^".repeat(excerpt.width));
            writeln!(f, "{blank} |")?;
            writeln!(f, "{gutter} | {}", excerpt.text)?;
            writeln!(f, "{blank} | {offset}{marks}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            writeln!(f, "{blank} = {suggestion}")?;
        }
        writeln!(f)
    }
}
