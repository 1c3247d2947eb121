//! Is the map in `src/lib.rs` true: does every room import only what it may, does every file it names exist?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may import. `units` says how durations are written, which is nobody's secret.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "backend",
            "catalog",
            "config",
            "demo",
            "gateway",
            "printable",
            "protocol",
            "router",
            "server",
            "telemetry",
        ],
    ),
    (
        "gateway",
        &[
            "backend",
            "catalog",
            "config",
            "files",
            "protocol",
            "resilience",
            "router",
            "sealing",
            "server",
            "telemetry",
            "threads",
            "units",
        ],
    ),
    ("config", &["backend", "catalog", "resilience", "server", "telemetry", "units"]),
    ("server", &["budget", "files", "resilience", "router", "protocol", "telemetry", "threads", "units"]),
    ("router", &["budget", "catalog", "backend", "protocol", "resilience", "sealing", "telemetry", "units"]),
    ("catalog", &["files", "protocol", "units"]),
    ("backend", &["budget", "files", "protocol", "resilience", "sealing", "telemetry", "threads", "units"]),
    ("resilience", &["units"]),
    ("protocol", &[]),
    ("sealing", &[]),
    ("telemetry", &["printable"]),
    ("printable", &[]),
    ("budget", &["resilience"]),
    ("files", &[]),
    ("threads", &[]),
    ("units", &[]),
    ("demo", &[]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The room a file belongs to: its folder at the top, or its own name.
fn room(file: &Path) -> String {
    let inside = file.strip_prefix(source()).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Every path that a file takes from the crate, `use` or not, in code or not: `room::rest`.
fn paths(text: &str) -> Vec<String> {
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    code.split("crate::").skip(1).flat_map(expand).collect()
}

/// `a::B` is one path, `{a::B, c::D}` are two.
fn expand(tail: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || "_:".contains(*c)).collect()
    };
    let Some(group) = tail.strip_prefix('{') else { return vec![statement(tail, &word(tail))] };
    let end = group.find('}').unwrap();
    group[..end].split(',').map(|item| word(item.trim())).filter(|item| !item.is_empty()).collect()
}

/// A path with the group at its end, as far as it is needed to see what is taken.
fn statement(tail: &str, path: &str) -> String {
    let rest = &tail[path.len()..];
    let group = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(group, _)| group);
    format!("{path}{}", group.split_whitespace().collect::<String>())
}

fn imports() -> BTreeMap<String, BTreeSet<(String, PathBuf)>> {
    let mut found: BTreeMap<String, BTreeSet<(String, PathBuf)>> = BTreeMap::new();
    for file in files(&source()) {
        let text = fs::read_to_string(&file).unwrap();
        let taken = paths(&text).into_iter().map(|path| (path, file.clone()));
        found.entry(room(&file)).or_default().extend(taken);
    }
    found
}

#[test]
fn no_room_imports_what_it_must_not() {
    let may: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut edges = 0;
    for (own, paths) in imports() {
        let Some(allowed) = may.get(own.as_str()) else {
            assert_eq!(own, "lib", "a room that is not on the map");
            continue;
        };
        for (path, file) in paths {
            let other = path.split("::").next().unwrap();
            let is_room = may.contains_key(other);
            assert!(
                !is_room || other == own || allowed.contains(&other),
                "{} takes `{path}`, but {own} may import only {allowed:?}",
                file.display()
            );
            edges += usize::from(is_room && other != own);
        }
    }
    assert!(edges > 50, "only {edges} imports were found: this test does not see them any more");
}

#[test]
fn the_configuration_takes_settings_from_rooms_and_nothing_else() {
    let foreign = ["backend", "catalog", "resilience", "server", "telemetry"];
    let mut taken = 0;
    for (path, file) in &imports()["config"] {
        let (room, names) = path.split_once("::").unwrap_or((path, ""));
        if !foreign.contains(&room) {
            continue;
        }
        for name in names.split(',').filter(|name| !name.is_empty()) {
            assert!(name.ends_with("Settings"), "{} takes `{room}::{name}`", file.display());
            taken += 1;
        }
    }
    assert!(taken >= 10, "only {taken}");
}

/// The files that the tables of a module's documentation name, in the order of mention.
fn named(module: &Path) -> Vec<String> {
    let text = fs::read_to_string(module).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let quoted =
        rows.flat_map(|row| row.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
    quoted.filter(|name| name.ends_with(".rs") || name.ends_with('/')).collect()
}

#[test]
fn every_file_that_a_table_names_exists() {
    let modules =
        files(&source()).into_iter().filter(|file| file.ends_with("mod.rs") || file.ends_with("lib.rs"));
    let mut count = 0;
    for module in modules {
        for name in named(&module) {
            let file = module.parent().unwrap().join(&name);
            assert!(file.exists(), "{} names {name}, which does not exist", module.display());
            count += 1;
        }
    }
    assert!(count > 80, "only {count} names were found: this test does not see them any more");
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(source().join("lib.rs")).unwrap();
    for file in files(&source()) {
        let room = room(&file);
        let is_mapped = ["lib", "main"].contains(&room.as_str()) || map.contains(&format!("[`{room}`]"));
        assert!(is_mapped || room == "demo", "{room} is not on the map in lib.rs");
    }
}
