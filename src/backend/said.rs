//! Which of the last lines of standard error says why a process failed?
//!
//! Rarely the last one: interpreters end with stack frames, frames of exception groups, or hints, and package managers
//! with where their log is.

/// Longest chain of causes that is put into one line, in bytes.
const JOINED: usize = 300;
/// Lines without indentation that may follow a Python exception: the rest of a message of several lines.
const REST_OF_MESSAGE: usize = 3;

/// The most telling line, if any line says something.
pub(super) fn reason<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lines: Vec<&str> = lines.into_iter().collect();
    let last = lines.iter().rposition(|line| is_telling(line))?;
    let line = lines.get(last)?;
    if is_npm(line) {
        return npm(&lines);
    }
    python(&lines).or_else(|| panicked(&lines)).or_else(|| with_its_head(&lines, last))
}

/// Whether a line is more than decoration, a stack frame, or a hint where to look.
fn is_telling(line: &str) -> bool {
    let text = bare(line);
    let is_frame =
        ["at ", "from ", "#0 ", "#1 ", "... ", "thrown in "].iter().any(|word| text.starts_with(word))
            && line.starts_with([' ', '\t', '#']);
    let is_hint = ["Node.js v", "Bun v", "note: run with `RUST_BACKTRACE", "See '", "Run '", "exit status "]
        .iter()
        .any(|word| text.starts_with(word));
    let is_log_path = text.contains("complete log of this run");
    let is_empty = !text.chars().any(char::is_alphanumeric);
    // What is left of an object that an interpreter printed after the error: `  code: 'MODULE_NOT_FOUND',`.
    let is_member = line.starts_with(' ')
        && text.split_once(": ").is_some_and(|(key, _)| is_word(key))
        && is_closed(text);
    !(is_empty
        || is_frame
        || is_hint
        || is_log_path
        || is_member
        || (is_npm(line) && npm_text(line).is_none()))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether it ends as a member of a printed object does.
fn is_closed(text: &str) -> bool {
    text.ends_with([',', '[', ']', '{', '}', '\''])
}

/// Without the frames that exception groups and resolvers draw around it.
fn bare(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || "|+-─│╰├▶└┌×".contains(c)).trim_end()
}

fn is_npm(line: &str) -> bool {
    ["npm error", "npm ERR!", "npm err!"].iter().any(|word| line.starts_with(word))
}

/// What an npm line says beside codes, numbers and paths.
fn npm_text(line: &str) -> Option<&str> {
    let text = line.trim_start_matches("npm").trim_start();
    let text = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '!').trim();
    let first = text.split(' ').next().unwrap_or_default();
    let is_detail = ["code", "errno", "syscall", "path", "dest", "signal", "A"].contains(&first);
    let is_code_alone = !text.contains(' ') && !text.contains('/');
    (!is_detail && !is_code_alone && !text.contains("complete log of this run")).then_some(text)
}

/// The first line of the block: npm says what failed first and what may help after it.
fn npm(lines: &[&str]) -> Option<String> {
    let end = lines.iter().rposition(|line| is_npm(line))?;
    let block = &lines[..=end];
    let start = block
        .iter()
        .rposition(|line| !is_npm(line) && !line.trim().is_empty())
        .map_or(0, |before| before + 1);
    let said = block[start..].iter().find(|line| npm_text(line).is_some());
    said.or_else(|| block[start..].first()).map(|line| line.trim().to_owned())
}

/// The exception of the last traceback, if the lines end with it: the innermost of a group.
fn python(lines: &[&str]) -> Option<String> {
    let header = lines.iter().rposition(|line| line.contains("Traceback (most recent call last):"))?;
    let column = lines[header].find(|c: char| c.is_alphabetic())?;
    let mut after = lines[header + 1..].iter().filter_map(|line| {
        let rest = line.get(column.min(line.len())..)?;
        (!rest.starts_with([' ', '\t']) && is_telling(line)).then(|| bare(rest))
    });
    let exception = after.next()?;
    (after.count() <= REST_OF_MESSAGE).then(|| exception.to_owned())
}

/// The head of a panic of Go, whose goroutines come after it, or of an error of Node, whose frames do.
fn panicked(lines: &[&str]) -> Option<String> {
    let goroutine = lines.iter().rposition(|line| line.starts_with("goroutine "));
    let node = lines.iter().rposition(|line| line.starts_with("Node.js v") || line.starts_with("Bun v"));
    let before = goroutine.or(node)?;
    let is_head = |line: &&&str| match goroutine {
        Some(_) => line.starts_with("panic: ") || line.starts_with("fatal error: "),
        None => !line.starts_with([' ', '\t']) && line.contains("Error") && is_telling(line),
    };
    lines[..before].iter().rev().find(is_head).map(|line| line.trim().to_owned())
}

/// A cause that is indented under what failed is put behind it.
fn with_its_head(lines: &[&str], last: usize) -> Option<String> {
    let line = lines.get(last)?;
    let text = bare(line);
    if !line.starts_with([' ', '\t']) {
        return Some(text.to_owned());
    }
    let is_head = |line: &&&str| {
        !line.starts_with([' ', '\t']) && is_telling(line) && !bare(line).starts_with("Caused by")
    };
    let head = lines[..last].iter().rev().find(is_head).map(|head| bare(head).trim_end_matches(':'));
    Some(match head {
        Some(head) if head.len() + text.len() <= JOINED => format!("{head}: {text}"),
        _ => text.to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<String> {
        reason(text.lines())
    }

    #[test]
    fn the_exception_counts_and_not_what_python_draws_around_it() {
        let plain = "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    import mcp\nModuleNotFoundError: No module named 'mcp'";
        assert_eq!(said(plain).unwrap(), "ModuleNotFoundError: No module named 'mcp'");
        let group = "  + Exception Group Traceback (most recent call last):\n  |   File \"x.py\", line 9, in <module>\n  |     run()\n  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \"x.py\", line 3, in run\n    |     raise ValueError(\"boom\")\n    | ValueError: boom\n    +------------------------------------";
        assert_eq!(said(group).unwrap(), "ValueError: boom");
        let pydantic = "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\npydantic_core.ValidationError: 1 validation error for Settings\nAPI_KEY\n  Field required [type=missing]\n    For further information visit https://errors.pydantic.dev";
        assert_eq!(said(pydantic).unwrap(), "pydantic_core.ValidationError: 1 validation error for Settings");
        let went_on = format!("{plain}\nretrying\nretrying\nretrying\nretrying\nno port is free");
        assert_eq!(said(&went_on).unwrap(), "no port is free");
    }

    #[test]
    fn npm_says_what_failed_first_and_where_its_log_is_last() {
        let missing = "npm error code E404\nnpm error 404 Not Found - GET https://registry.npmjs.org/x - Not found\nnpm error 404\nnpm error 404  'x@*' is not in this registry.\nnpm error A complete log of this run can be found in: /root/.npm/_logs/x.log";
        assert_eq!(
            said(missing).unwrap(),
            "npm error 404 Not Found - GET https://registry.npmjs.org/x - Not found"
        );
        let offline = "npm ERR! code ENOTFOUND\nnpm ERR! syscall getaddrinfo\nnpm ERR! errno ENOTFOUND\nnpm ERR! network request to https://registry.npmjs.org/x failed\n\nnpm ERR! A complete log of this run can be found in:\nnpm ERR!     /root/.npm/_logs/x.log";
        assert_eq!(said(offline).unwrap(), "npm ERR! network request to https://registry.npmjs.org/x failed");
    }

    #[test]
    fn frames_and_versions_of_interpreters_are_not_the_reason() {
        let node = "node:internal/modules/cjs/loader:1143\n  throw err;\n  ^\n\nError: Cannot find module '/x.js'\n    at Module._resolveFilename (node:internal/modules/cjs/loader:1140:15)\n    at node:internal/main/run_main_module:28:49 {\n  code: 'MODULE_NOT_FOUND',\n  requireStack: []\n}\n\nNode.js v20.10.0";
        assert_eq!(said(node).unwrap(), "Error: Cannot find module '/x.js'");
        let java = "Exception in thread \"main\" java.lang.IllegalStateException: no\n\tat X.main(X.java:3)\nCaused by: java.io.IOException: no key\n\t... 1 more";
        assert_eq!(said(java).unwrap(), "Caused by: java.io.IOException: no key");
        let go =
            "panic: no token\n\ngoroutine 1 [running]:\nmain.main()\n\t/x/main.go:5 +0x1d\nexit status 2";
        assert_eq!(said(go).unwrap(), "panic: no token");
        let uv = "error: Failed to spawn: `x`\n  Caused by: No such file or directory (os error 2)";
        assert_eq!(
            said(uv).unwrap(),
            "error: Failed to spawn: `x`: Caused by: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn what_says_nothing_is_skipped_and_nothing_is_nothing() {
        assert_eq!(said("no database\n\n-----\n").unwrap(), "no database");
        assert_eq!(said("listening on: 0.0.0.0,").unwrap(), "listening on: 0.0.0.0,");
        assert_eq!(said("\n+---\n"), None);
    }
}
