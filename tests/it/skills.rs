//! The skills as an agent follows them: every command of theirs runs, as written, in one project.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::branch::rig::Project;
use crate::support::{Database, Output, backlot, binaries, database, query_value, servers, sql};

fn skill(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/.claude/skills/{name}/SKILL.md")).unwrap()
}

/// The commands of a skill, as one script.
fn script(name: &str) -> String {
    let text = skill(name);
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let script = blocks.collect::<String>();
    assert!(script.matches("backlot ").count() > 2, "{script}");
    script
}

fn shell(project: &Project, script: &str, env: &[(&str, &str)]) -> Output {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_backlot")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(&project.folder);
    command.env_clear().env("PATH", path).stdin(Stdio::null());
    for name in ["HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(project.environment()).envs(env.iter().copied());
    let output = command.output().unwrap();
    Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

fn follow(project: &Project, name: &str, env: &[(&str, &str)]) -> Output {
    let output = shell(project, &script(name), env);
    assert!(output.code == Some(0), "{name}: {output:?}");
    output
}

/// The URL that an application would take.
fn application(project: &Project, name: &'static str) -> Database {
    let text = std::fs::read_to_string(project.folder.join(".env.local")).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix("DATABASE_URL=")).unwrap();
    let url = value.trim_matches(['"', '\'']).to_owned();
    Database { url, name: name.to_owned(), cluster: servers().next().unwrap() }
}

const PEOPLE: &str = "operations:
- create_table:
    name: people
    columns:
    - {name: id, type: int, pk: true}
    - {name: email, type: text}
";
const PHONE: &str = "operations:
- add_column: {table: people, column: {name: phone, type: text, nullable: true}, up: \"'none'\"}
";
const SOURCE: &str = "
    create table people (id int primary key, email text not null);
    insert into people select n, 'person' || n || '@corp.example' from generate_series(1, 500) n";

#[test]
fn every_command_of_the_skills_runs() {
    let project = Project::empty(binaries().first().unwrap(), &std::env::temp_dir());
    std::fs::create_dir(project.folder.join("migrations")).unwrap();
    for (file, text) in [("01_people.yaml", PEOPLE), ("02_phone.yaml", PHONE)] {
        std::fs::write(project.folder.join("migrations").join(file), text).unwrap();
    }
    let status = || -> Value { project.json(&["roll", "status"]) };

    follow(&project, "setup", &[]);
    assert_eq!(query_value(&application(&project, "main"), "select 1"), "1");
    follow(&project, "branch-create", &[("BRANCH", "try/people")]);
    shell(&project, "backlot roll init", &[]).expect_code(0);

    // Somebody has set it for another database: nothing may go there.
    let decoy = database(servers().next().unwrap(), "skills_decoy");
    let branch = [("BRANCH", "try/people"), ("PGROLL_PG_URL", decoy.url.as_str())];
    let start =
        |file| follow(&project, "migration-start", &[&branch[..], &[("MIGRATION", file)]].concat());
    start("migrations/01_people.yaml");
    assert_eq!(status()["status"], "In progress");
    follow(&project, "migration-complete", &branch);
    assert_eq!(status()["status"], "Complete");

    start("migrations/02_phone.yaml");
    let seen = application(&project, "new");
    sql(&seen, "insert into people values (1, 'a@b.example', '555')");
    follow(&project, "migration-rollback", &branch);
    assert_eq!(status()["status"], "Complete");
    let rows = "select count(*) from public_01_people.people";
    assert_eq!(query_value(&application(&project, "old"), rows), "1");
    assert_eq!(query_value(&decoy, "select to_regnamespace('pgroll') is null"), "t");
    // Again: the application stays on its branch.
    follow(&project, "setup", &[]);
    assert_eq!(query_value(&application(&project, "again"), rows), "1");

    let source = database(servers().next().unwrap(), "skills_source");
    sql(&source, SOURCE);
    let env = [("BRANCH", "prod/copy"), ("BACKLOT_SOURCE_URL", source.url.as_str())];
    let output = follow(&project, "clone-production", &env);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!said.contains("@corp.example") && !said.contains(&source.url), "{said}");
    let found =
        "select count(*) || ' ' || count(*) filter (where email like '%corp.example') from people";
    assert_eq!(project.value("prod/copy", found), "500 0");
    assert_eq!(project.value("main", "select to_regclass('public.people') is null"), "t");
}

#[test]
fn skills_are_installed_whole_and_never_over_others() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str], code| backlot(folder.path(), args, &[]).expect_code(code);
    let installed = run(&["skills", "install", "--json"], 0).json();
    assert_eq!(installed["written"].as_array().unwrap().len(), 6);
    let listed = run(&["skills", "list", "--json"], 0).json();
    for listed in listed["skills"].as_array().unwrap() {
        let name = listed["name"].as_str().unwrap();
        let file = folder.path().join(".claude/skills").join(name).join("SKILL.md");
        assert_eq!(std::fs::read_to_string(file).unwrap(), skill(name));
    }
    let again = run(&["skills", "install", "--json"], 0).json();
    assert_eq!(again["written"], serde_json::json!([]));

    let own = folder.path().join(".claude/skills/setup/SKILL.md");
    let other = folder.path().join(".claude/skills/branch-create/SKILL.md");
    std::fs::write(&own, "mine").unwrap();
    std::fs::remove_file(&other).unwrap();
    let refused = run(&["skills", "install", "--json"], 7);
    assert!(refused.stderr.contains("setup/SKILL.md"), "{}", refused.stderr);
    assert!(!other.exists());
    run(&["skills", "install", "--force"], 0);
    assert_eq!(std::fs::read_to_string(&own).unwrap(), skill("setup"));
    assert!(other.exists());
}

#[test]
fn the_manifest_knows_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| backlot(folder.path(), args, &[]).expect_code(0);
    let manifest = run(&["manifest", "--json"]).json();
    let verbs = manifest["verbs"].as_array().unwrap();
    let verb = |name: &str| verbs.iter().find(|verb| verb["name"] == name).unwrap();
    assert_eq!(verb("branch delete")["effect"], "destroys");
    assert_eq!(verb("clone status")["effect"], "reads");
    let flags = verb("clone start")["flags"].as_array().unwrap();
    let format = flags.iter().find(|flag| flag["name"] == "--format").unwrap();
    assert_eq!(format["choices"], serde_json::json!(["auto", "text"]));
    assert!(flags.iter().all(|flag| flag["name"] != "--json"), "global flags stand by themselves");
    let codes = manifest["exit_codes"].as_array().unwrap();
    assert_eq!((&codes[0]["code"], codes.len()), (&0.into(), 12));
    // Each verb that it names is one.
    for verb in verbs {
        let mut words = verb["name"].as_str().unwrap().split(' ').collect::<Vec<_>>();
        words.push("--help");
        assert!(run(&words).stdout.contains("Usage: backlot "), "{words:?}");
    }
}

#[test]
fn shells_and_man_take_what_is_made_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| backlot(folder.path(), args, &[]).expect_code(0);
    let script = run(&["completions", "bash"]).stdout;
    std::fs::write(folder.path().join("script"), script).unwrap();
    let check = "source ./script; COMP_WORDS=(backlot branch cre); COMP_CWORD=2
        _backlot backlot cre branch; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    let output = bash.args(["-c", check]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "create");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell]).stdout.contains("backlot"), "{shell}");
    }
    run(&["manual", "man"]);
    let page = std::fs::read_to_string(folder.path().join("man/backlot-branch-create.1")).unwrap();
    assert!(page.contains("parent\\-branch") && page.starts_with(".ie"), "{page:.300}");
    assert!(folder.path().join("man/backlot.1").exists());
}
