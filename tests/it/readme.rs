//! The README's tutorial: every command in it runs, as written.

use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");

/// The commands of the tutorial, as one script.
fn tutorial() -> String {
    let (_, section) = README.split_once("## Five minutes").expect("the tutorial");
    let (section, _) = section.split_once("\n## ").expect("a section after it");
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let script = blocks.collect::<String>();
    assert!(script.lines().filter(|line| line.starts_with("backlot ")).count() >= 6, "{script}");
    script
}

#[test]
fn every_command_of_the_tutorial_runs() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_backlot")).parent().unwrap();
    let path = format!("{}:{}", program.display(), env!("PATH"));
    // Whatever fails, no server stays.
    let script = format!(
        "trap 'rc=$?; backlot stop >/dev/null 2>&1; [ -z \"${{BACKLOT_DEMO_STOP:-}}\" ] || sh -c \"$BACKLOT_DEMO_STOP\" || true; exit $rc' EXIT\n\
         set -euo pipefail\n{}",
        tutorial().replace(
            "sh -c \"$BACKLOT_DEMO_STOP\"\n",
            "sh -c \"$BACKLOT_DEMO_STOP\"\nBACKLOT_DEMO_STOP=\n"
        )
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env_remove("BACKLOT_KEY")
        .env_remove("BACKLOT_SOURCE_URL")
        .env_remove("BACKLOT_TARGET_URL")
        .output()
        .unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("0 leaked") && stdout.contains("nothing was written"), "{stdout}");
}
