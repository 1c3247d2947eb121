//! Are the files in `tests/config` read, or refused with exactly the text beside them?
//! `UPDATE_FIXTURES=1` rewrites those texts, for a diff to be read.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::*;
use crate::backend::TransportSettings;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What references stand for in the fixtures; none of it may be shown.
const SECRET: &str = "s3cr3t";

fn environment(name: &str) -> Option<String> {
    match name {
        "CRM_TOKEN" => Some(format!("{SECRET}-token")),
        "FAILURES" => Some("7".to_owned()),
        "WRONG" => Some(format!("{SECRET} wrong")),
        "LISTEN" => Some("203.0.113.9:8081".to_owned()),
        "COMMAND_LINE" => Some(format!("{SECRET} --verbose")),
        "KIND" => Some("http".to_owned()),
        "HOURS" => Some("17h".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read_fixture(path: &Path) -> Result<Config, Problems> {
    parse(path, &std::fs::read_to_string(path).unwrap(), &environment)
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(ROOT).join("tests/config").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.sort();
    paths
}

fn valid(name: &str) -> Config {
    let path = Path::new(ROOT).join("tests/config/valid").join(name);
    read_fixture(&path).unwrap_or_else(|problems| panic!("{problems}"))
}

fn backend<'a>(config: &'a Config, name: &str) -> &'a BackendConfig {
    let mut backends = config.backends.iter();
    backends.find(|backend| backend.settings.name == name).unwrap()
}

#[test]
fn every_valid_file_is_read() {
    for path in fixtures("valid") {
        if let Err(problems) = read_fixture(&path) {
            panic!("{problems}");
        }
    }
}

#[test]
fn every_invalid_file_is_refused_with_the_text_beside_it() {
    let paths = fixtures("invalid");
    assert!(paths.len() >= 20);
    for path in paths {
        let Err(mut problems) = read_fixture(&path) else {
            panic!("{} was read", path.display());
        };
        problems.path = path.file_name().unwrap().into();
        let told = format!("{problems}\n");
        for hidden in [SECRET, "203.0.113.9", "17h"] {
            assert!(!told.contains(hidden), "{told}");
        }
        let beside = path.with_extension("txt");
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(&beside, &told).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(told, expected, "{}", path.display());
    }
}

#[test]
fn the_shipped_file_has_three_backends_and_a_port_of_its_own_for_each_that_asks() {
    let config = load(&Path::new(ROOT).join("gateway.yaml")).unwrap();
    let names = config.backends.iter().map(|b| b.settings.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["crm", "api", "search"]);
    let port = |name| match &backend(&config, name).settings.transport {
        TransportSettings::Http { remote, process } | TransportSettings::Sse { remote, process } => {
            let port = remote.url.port().unwrap();
            let args = &process.as_ref().unwrap().args;
            assert_eq!(args.last(), Some(&port.to_string()));
            port
        }
        TransportSettings::Stdio(_) => panic!("{name} has no port"),
    };
    assert_ne!(port("api"), port("search"));
    assert!(config.state_dir.is_absolute());
}

#[test]
fn reading_an_unchanged_file_again_changes_no_backend() {
    let config = load(&Path::new(ROOT).join("gateway.yaml")).unwrap();
    let again = reload(&config).unwrap();
    let revisions = |config: &Config| config.backends.iter().map(|b| b.revision.clone()).collect::<Vec<_>>();
    assert_eq!(revisions(&config), revisions(&again));
}

#[test]
fn a_pasted_block_of_mcp_json_runs_with_its_secrets_hidden() {
    let config = valid("pasted_mcp_json.yaml");
    let TransportSettings::Stdio(process) = &backend(&config, "github").settings.transport else {
        panic!("github is launched");
    };
    assert_eq!(process.command, "npx");
    assert_eq!(process.args, ["-y", "@modelcontextprotocol/server-github"]);
    assert_eq!(process.env["GITHUB_TOKEN"].expose_secret(), "s3cr3t-token");
    assert_eq!(process.env["RETRIES"].expose_secret(), "3");
    assert_eq!(process.env["REGION"].expose_secret(), "eu");
    assert!(!format!("{config:?}").contains(SECRET));
}

#[test]
fn what_other_clients_write_is_read_as_they_mean_it_and_noted() {
    let config = valid("pasted_clients.yaml");
    let names = config.backends.iter().map(|b| b.settings.name.as_str());
    let all = ["windsurf", "gemini", "cline", "roo", "fastmcp", "opencode", "copilot"];
    assert_eq!(names.collect::<Vec<_>>(), all, "all but `off`");
    let remote = |name| backend(&config, name).settings.transport.remote().unwrap();
    for name in ["windsurf", "gemini", "roo", "fastmcp"] {
        assert_eq!(remote(name).url.as_str(), "https://mcp.example.com/mcp");
    }
    assert_eq!(remote("windsurf").headers["Authorization"].expose_secret(), "Bearer s3cr3t-token");
    assert_eq!(backend(&config, "windsurf").exposure.hide, ["drop_table"]);
    assert_eq!(backend(&config, "gemini").exposure.expose, ["find", "list"]);
    assert_eq!(backend(&config, "gemini").settings.timeouts.call.as_secs(), 30);
    let TransportSettings::Stdio(process) = &backend(&config, "opencode").settings.transport else {
        panic!("opencode is launched");
    };
    assert_eq!(
        (process.command.as_str(), process.args.as_slice()),
        ("npx", &["-y".into(), "server".into()][..])
    );
    assert_eq!(process.env["A"].expose_secret(), "17h");
    let notes = config.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for told in
        ["7:", "`serverUrl` of backend `windsurf` is read as `url`", "`trust`", "`autoApprove`", "comment"]
    {
        assert!(notes.contains(told), "{told}: {notes}");
    }
    assert!(!notes.contains(SECRET), "{notes}");
}

#[test]
fn a_whole_file_pasted_under_backends_is_unwrapped() {
    let config = valid("pasted_under_backends.yaml");
    let names = config.backends.iter().map(|b| b.settings.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["one", "two", "three", "four"]);
    assert_eq!(config.notes.iter().map(|note| note.line).collect::<Vec<_>>(), [2, 5, 8]);
}

#[test]
fn certificates_are_read_from_their_file_which_is_watched_and_part_of_the_revision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.yaml");
    let pem = std::fs::read_to_string(Path::new(ROOT).join("tests/config/ca.pem")).unwrap();
    std::fs::write(folder.path().join("ca.pem"), &pem).unwrap();
    let read = || {
        let text = "backends: { a: { url: \"https://a.example/\", tls: { ca: ca.pem } } }";
        parse(&path, text, &environment).unwrap_or_else(|problems| panic!("{problems}"))
    };
    let (first, remote) = (read(), backend(&read(), "a").settings.transport.remote().unwrap().tls.clone());
    assert!(remote.ca.unwrap().contains("BEGIN CERTIFICATE"));
    assert_eq!(first.files, [folder.path().join("ca.pem")]);
    std::fs::write(folder.path().join("ca.pem"), format!("{pem}\n{pem}")).unwrap();
    assert_eq!(Diff::between(&first, &read()).change_of("a"), Some(Change::Altered));
    let inline = format!(
        "backends: {{ a: {{ url: \"https://a.example/\", tls: {{ ca: {} }} }} }}",
        serde_json::json!(pem)
    );
    assert!(parse(&path, &inline, &environment).unwrap().files.is_empty());
}

#[test]
fn hosts_that_match_nothing_are_noted() {
    let text =
        "server: { allowed_hosts: [\"*.example\", ok.example], allowed_origins: [ok.example] }\nbackends: {}";
    let config = parse(Path::new("gateway.yaml"), text, &environment).unwrap();
    let notes: Vec<_> = config.notes.iter().map(|note| (note.line, note.message.as_str())).collect();
    assert_eq!(
        notes,
        [
            (1, "an entry of `server.allowed_hosts` matches nothing"),
            (1, "an entry of `server.allowed_origins` matches nothing")
        ]
    );
}

#[test]
fn defaults_lie_under_what_a_backend_says_itself() {
    let config = valid("defaults.yaml");
    let (own, plain) = (backend(&config, "own"), backend(&config, "plain"));
    assert_eq!(own.settings.timeouts.call.as_secs(), 5);
    assert_eq!(own.settings.timeouts.connect.as_secs(), 2);
    assert_eq!(plain.settings.timeouts.call.as_secs(), 20);
    assert_eq!(plain.settings.timeouts.total.as_secs(), 600);
    assert_eq!(own.settings.breaker.failures, 7);
    assert!(plain.exposure.validate_arguments && !own.exposure.validate_arguments);
}

#[test]
fn a_backend_is_as_its_entry_says() {
    let config = valid("everything.yaml");
    let names = config.backends.iter().map(|b| b.settings.name.as_str());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["zeta", "several", "alpha", "person", "each", "machine"],
        "the file's order, without `off`"
    );
    let zeta = backend(&config, "zeta");
    assert_eq!(zeta.exposure.prefix, "z");
    assert_eq!(zeta.exposure.rename["find"], "find_one");
    let TransportSettings::Sse { remote, process: None } = &zeta.settings.transport else {
        panic!("zeta is a remote server with the older transport");
    };
    assert_eq!(remote.headers["Authorization"].expose_secret(), "Bearer s3cr3t-token");
    assert_eq!(remote.headers["X-File"].expose_secret(), "from a file");
    assert_eq!(remote.headers["X-Literal"].expose_secret(), "${NOT_A_REFERENCE}");
    let TransportSettings::Stdio(process) = &backend(&config, "alpha").settings.transport else {
        panic!("alpha is launched");
    };
    let auth = |name| backend(&config, name).settings.transport.remote().unwrap().auth.clone();
    assert!(auth("zeta").is_none(), "what to send is settled");
    assert_eq!(auth("person").unwrap().callback_port, Some(8585));
    let granted_to = |name| format!("{:?}", auth(name).unwrap().granted_to);
    assert_eq!(["person", "each"].map(granted_to), ["Gateway", "Principal"]);
    let machine = auth("machine").unwrap();
    assert_eq!(machine.client_secret.unwrap().expose_secret(), "s3cr3t-token");
    assert!(!format!("{config:?}").contains(SECRET));
    let folder = Path::new(ROOT).join("tests/config/valid");
    assert_eq!(process.cwd, folder.join("work"));
    assert_eq!(Path::new(&process.command), folder.join("work/bin/server"));
    assert_eq!(config.state_dir, folder.join("state"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([a-e]|é|: |- |\\n|  |\"|'|\\{|\\}|\\[|,|#|&a|\\*a|<<|\\$\\{|env|backends:\\n|server:|[0-9.-]|\t|\u{feff}|\r\n){0,60}") {
        let told = parse(Path::new("gateway.yaml"), &text, &environment).map_err(|problems| problems.to_string());
        proptest::prop_assert!(told.is_ok() || told.is_err_and(|told| told.ends_with("nothing was started")));
    }
}
