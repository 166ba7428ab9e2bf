//! The module graph of `src/` is a specification, and this test is its only definition.
//!
//! Each entry lists what a top-level module may import. An entry may name only modules
//! above it, so the graph is acyclic by construction. To add an arrow, change this table
//! in the same commit and say why in the commit message.

use std::{collections::BTreeSet, fs, path::Path};

#[rustfmt::skip]
const LAYERS: &[(&str, &[&str])] = &[
    // L0 vocabulary
    ("document",   &[]),
    ("observe",    &[]),
    ("pg",         &["observe"]),
    // one reader of the kernel's generator
    ("random",     &[]),
    // L1 model
    ("catalog",    &["pg"]),
    ("row",        &["pg", "catalog"]),
    // L2 decisions
    ("ddl",        &["observe", "pg", "catalog"]),
    ("transform",  &["document", "pg", "catalog", "row"]),
    // findings speak of rules
    ("pii",        &["pg", "catalog", "row", "transform"]),
    ("migrate",    &["document", "pg", "catalog", "ddl"]),
    // L3 edges
    ("state",      &["observe", "pg", "catalog"]),
    ("instance",   &["observe", "pg"]),
    ("source",     &["observe", "pg", "catalog", "row", "ddl"]),
    // a sink takes only what the transform stage makes
    ("sink",       &["observe", "pg", "catalog", "row", "transform"]),
    // L4 use cases
    ("table_sync", &["observe", "pg", "catalog", "row", "transform", "state", "source", "sink"]),
    // literals of the schema are looked through for personal data
    ("clone",      &["observe", "pg", "random", "catalog", "row", "ddl", "transform", "pii", "state", "source", "sink", "table_sync"]),
    ("stream",     &["observe", "pg", "catalog", "row", "ddl", "transform", "pii", "state", "source", "sink", "table_sync"]),
    ("roll",       &["observe", "pg", "catalog", "ddl", "migrate", "state"]),
    ("project",    &["document", "pg", "random", "instance"]),
    // branches live in a project's state directory
    ("branch",     &["document", "observe", "pg", "instance", "project"]),
    // it stands before the servers of branches, and finds them through the catalog of branches
    ("proxy",      &["observe", "pg", "instance", "project", "branch"]),
    ("detect",     &["observe", "pg", "catalog", "row", "transform", "pii", "source"]),
    // it reads what a clone reads, and masks it by the same jobs; a column that came later is decided as the stream does
    ("verify",     &["observe", "pg", "random", "catalog", "row", "transform", "pii", "state", "source", "sink", "table_sync"]),
    // L5 shell: imports anything, imported by nobody
    ("cli",        &["*"]),
];

/// Modules that compute and never touch the outside world.
const PURE: &[&str] = &["document", "row", "transform", "pii", "migrate"];
/// The address types of `std::net` are values; its sockets and name look-ups are not.
const IMPURE_PATHS: &[&str] = &[
    "tokio::",
    "tokio_postgres::",
    "std::fs",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
];

#[test]
fn modules_import_only_what_the_layer_table_allows() {
    let mut above: Vec<&str> = Vec::new();
    for (module, allowed) in LAYERS {
        for dep in *allowed {
            assert!(*dep == "*" || above.contains(dep), "`{module}` names later module `{dep}`");
        }
        above.push(module);
    }

    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut errors = BTreeSet::new();
    visit(&src, &mut |path, text| {
        let file = path.strip_prefix(&src).unwrap();
        let head = file.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if matches!(head, "lib" | "main") {
            return;
        }
        let file = file.display().to_string();
        let Some((module, allowed)) = LAYERS.iter().find(|(name, _)| *name == head) else {
            errors.insert(format!("src/{file}: top-level module `{head}` is not in LAYERS"));
            return;
        };
        let code = strip_line_comments(text);
        for (line, dep) in crate_imports(&code) {
            let ok = dep == *module || allowed.contains(&"*") || allowed.contains(&dep.as_str());
            if !ok {
                errors.insert(format!("src/{file}:{line}: `{module}` must not import `{dep}`"));
            }
        }
        for path in IMPURE_PATHS {
            // Unit tests may bless golden files.
            let is_test = file.contains("tests/") || file.ends_with("tests.rs");
            if PURE.contains(module) && !is_test && code.contains(path) {
                errors.insert(format!("src/{file}: `{module}` is pure, it must not use `{path}`"));
            }
        }
    });
    let report = errors.into_iter().collect::<Vec<_>>().join("\n");
    assert!(report.is_empty(), "layering violations:\n{report}");
}

/// Heads of every `crate::a::…` and `crate::{a::…, b}` path, with 1-based line numbers.
/// A head that is not a module (`crate::Error` re-exported at the root) is no edge.
fn crate_imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, key) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[at + key.len()..].trim_start();
        for head in path_heads(rest) {
            if LAYERS.iter().any(|(name, _)| *name == head) {
                found.push((line, head));
            }
        }
    }
    found
}

fn path_heads(rest: &str) -> Vec<String> {
    let ident = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(group) = rest.strip_prefix('{') else { return vec![ident(rest)] };
    let mut heads = Vec::new();
    let (mut depth, mut at_head) = (0, true);
    for (i, c) in group.char_indices() {
        if at_head && !c.is_whitespace() {
            heads.push(ident(&group[i..]));
            at_head = false;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            _ => (),
        }
    }
    heads
}

fn strip_line_comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn visit(dir: &Path, f: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, f);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            f(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
