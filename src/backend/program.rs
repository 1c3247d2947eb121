//! Why can a program not be started? The system says "no such file" about the program, about the interpreter that a
//! script names in its first line, and about the loader that a binary needs.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use super::ProcessSettings;

/// Longest first line of a script that is looked at; the kernel reads no more.
const FIRST_LINE: u64 = 256;

/// The system's error, with the command's name and what to do about it.
pub(super) fn describe(settings: &ProcessSettings, error: &io::Error) -> io::Error {
    let hint = hint(settings, error);
    io::Error::new(error.kind(), format!("failed to start `{}`: {hint}", settings.command))
}

fn hint(settings: &ProcessSettings, error: &io::Error) -> String {
    if error.kind() == ErrorKind::NotFound && !settings.cwd.is_dir() {
        return format!("its working directory {} does not exist", settings.cwd.display());
    }
    let found = found(settings);
    match (error.kind(), found) {
        (ErrorKind::NotFound, None) => missing(&settings.command),
        (ErrorKind::NotFound, Some(file)) => cannot_run(&file).unwrap_or_else(|| error.to_string()),
        (ErrorKind::PermissionDenied, Some(file)) if file.is_dir() => {
            format!("{} is a directory", file.display())
        }
        (ErrorKind::PermissionDenied, Some(file)) if !is_executable(&file) => {
            format!("{} is not executable; `chmod +x` makes it so", file.display())
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            "it is no program for this system, and no script that begins with `#!` and an interpreter"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// A whole command line in the place of the program is the usual reason.
fn missing(command: &str) -> String {
    let mut words = command.split_whitespace();
    match (words.next(), words.collect::<Vec<_>>()) {
        (Some(program), arguments) if !arguments.is_empty() && !program.contains('=') => {
            let arguments: Vec<String> = arguments.iter().map(|word| format!("{word:?}")).collect();
            let arguments = arguments.join(", ");
            format!(
                "no such program; `command` is the program alone, its arguments are a list: \
                 `command: {program}`, `args: [{arguments}]`"
            )
        }
        _ => "no such program; give its full path, or put it on PATH".to_owned(),
    }
}

/// The file that would be run: the path, or the first of that name on the PATH that the process gets.
fn found(settings: &ProcessSettings) -> Option<PathBuf> {
    if settings.command.contains('/') {
        let file = settings.cwd.join(&settings.command);
        return file.exists().then_some(file);
    }
    let given = settings.env.get("PATH").map(|path| path.expose_secret().to_owned().into());
    let path = given.or_else(|| std::env::var_os("PATH"))?;
    let mut files = std::env::split_paths(&path).map(|directory| directory.join(&settings.command));
    files.find(|file| file.is_file())
}

/// Why a file that exists is said not to.
fn cannot_run(file: &Path) -> Option<String> {
    let mut first = Vec::new();
    File::open(file).ok()?.take(FIRST_LINE).read_to_end(&mut first).ok()?;
    let shown = file.display();
    if first.starts_with(b"\x7fELF") {
        return Some(format!(
            "{shown} needs a loader that is not here; it was built for another system (musl or glibc?)"
        ));
    }
    let line = first.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    if line.ends_with('\r') {
        return Some(format!(
            "the first line of {shown} ends with a carriage return; save it with Unix line ends"
        ));
    }
    let interpreter = line.split_whitespace().next()?;
    let is_there = Path::new(interpreter).exists();
    (!is_there).then(|| format!("{shown} is a script for `{interpreter}`, and there is no such program"))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What is said about a file with this content and mode.
    fn said(content: &str, mode: u32) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("server");
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        of("./server", directory.path())
    }

    fn of(command: &str, cwd: &Path) -> String {
        let settings = ProcessSettings {
            command: command.to_owned(),
            args: Vec::new(),
            env: std::collections::BTreeMap::new(),
            cwd: cwd.to_owned(),
        };
        let error = std::process::Command::new(command).current_dir(cwd).spawn().unwrap_err();
        describe(&settings, &error).to_string()
    }

    #[test]
    fn a_script_whose_interpreter_is_missing_is_not_said_to_be_missing_itself() {
        let missing = said("#!/no/such/python3 -u\n", 0o755);
        assert!(missing.contains("a script for `/no/such/python3`"), "{missing}");
        let foreign = said("#!/bin/sh\r\necho\r\n", 0o755);
        assert!(foreign.contains("carriage return"), "{foreign}");
    }

    #[test]
    fn a_command_line_in_the_place_of_the_program_is_answered_with_what_to_write() {
        let said = of("npx -y some-server", Path::new("/"));
        assert!(said.contains("`command: npx`, `args: [\"-y\", \"some-server\"]`"), "{said}");
        assert!(of("no-such-program", Path::new("/")).contains("no such program; give its full path"));
        assert!(of("sh", Path::new("/no/such/directory")).contains("working directory"));
    }

    #[test]
    fn what_is_no_program_is_said_to_be_none() {
        assert!(said("#!/bin/sh\n", 0o644).contains("not executable"));
        assert!(said("just text\n", 0o755).contains("no script"));
        assert!(of("./", Path::new("/")).contains("directory"));
    }
}
