//! What a person sees on a terminal while panal runs: bars, drawn through a pseudo-terminal of `script`. Their pace is not tested.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Place, panal};

/// What `command` says on a terminal of 120 columns, or a loud word that there is none to be had.
fn on_a_terminal(command: &Command) -> Option<String> {
    let known = Command::new("script").arg("--version").output();
    if !known.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux")) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no `script` of util-linux to give a terminal");
        return None;
    }
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap().replace('\'', r"'\''"));
    let line: Vec<String> = [command.get_program()].into_iter().chain(command.get_args()).map(quoted).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &format!("stty cols 120; {}", line.join(" ")), "/dev/null"]).env("TERM", "xterm");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let output = script.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    Some(said)
}

/// The bar is drawn, and one of its lines has all of `parts`.
fn has_line(said: &str, parts: &[&str]) {
    let lines = || said.split(['\r', '\n']);
    assert!(lines().any(|line| parts.iter().all(|part| line.contains(part))), "no line with {parts:?} in {said:?}");
}

#[test]
fn a_bar_says_epoch_loss_accuracy_speed_and_time_left() {
    let place = Place::new();
    let long = ["--row", "1", "--seeds", "1", "--set", "row.0.phases.0.epochs=20"];
    let Some(said) = on_a_terminal(&place.lab(&long)) else { return };
    has_line(&said, &["decoding train", "/"]);
    has_line(&said, &["decoding val", "/"]);
    has_line(&said, &["all, seed 0", "=", "/3"]);
    has_line(&said, &["epoch ", "/20, loss ", ", accuracy ", " images/s, ", " s left"]);

    let mut command = panal(&["ssl", "pretrain"]);
    command.arg(place.path("images")).args(["--preset", "study-cpu", "--out"]).arg(place.path("ssl"));
    for set in ["simclr.epochs=20", "simclr.batch=4", "share=1.0"] {
        command.args(["--set", set]);
    }
    let said = on_a_terminal(&command).unwrap();
    has_line(&said, &["epoch ", "/20, loss ", ", top-1 ", " images/s, ", " s left"]);
}

#[test]
fn a_folder_with_bad_images_is_looked_through_once_more() {
    let place = Place::new();
    std::fs::write(place.path("images/train").join("across").join("bad.png"), "damaged").unwrap();
    let Some(said) = on_a_terminal(&place.lab(&["--row", "1", "--seeds", "1", "--skip-bad"])) else { return };
    has_line(&said, &["finding bad images in train", "/"]);
    has_line(&said, &["left out", "bad.png"]);
    assert!(!said.contains("finding bad images in val"), "{said}");
}

#[test]
fn without_a_terminal_there_is_no_bar() {
    let place = Place::new();
    let said = common::run(&mut place.lab(&["--row", "1", "--seeds", "1"]));
    assert!(said.code == Some(0) && !said.err.contains('\r') && !said.err.contains("images/s"), "{}", said.err);
}
