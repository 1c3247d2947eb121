//! Any text as `gateway.yaml`: a configuration, or problems that can be shown.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use switchyard::config::parse;

fuzz_target!(|text: &str| {
    let env = |name: &str| (name == "SET").then(|| "value".to_owned());
    if let Err(problems) = parse(Path::new("/nowhere/gateway.yaml"), text, &env) {
        assert!(!problems.to_string().is_empty());
    }
});
