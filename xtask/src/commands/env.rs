//! `env`: what a shell must export so that plain cargo finds libtorch.

use super::setup;
use crate::libtorch::LOADER_PATH;
use crate::stage::Stages;
use anyhow::Result;
use std::ffi::OsStr;

/// Print the environment for a shell: `eval "$(cargo xtask env)"`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn main() -> Result<()> {
    let libtorch = setup::ready(&mut Stages::new(1), false)?;
    for (name, value) in libtorch.env(None) {
        println!("{}", export(name, &value));
    }
    Ok(())
}

/// The line for a POSIX shell. The loader's path keeps what the shell has, which may be more than cargo passed on.
fn export(name: &str, value: &OsStr) -> String {
    let quoted = format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"));
    match name == LOADER_PATH {
        true => format!("export {name}={quoted}\"${{{name}:+:${name}}}\""),
        false => format!("export {name}={quoted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn in_a_shell(lines: &str, show: &str, before: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{lines}\nprintf %s \"${show}\"")]);
        match before {
            "" => shell.env_remove(show),
            value => shell.env(show, value),
        };
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_shell_reads_the_lines_as_they_are_meant() {
        let odd = "/it's a \"cache\"/$HOME";
        let line = export("LIBTORCH", OsStr::new(odd));
        assert_eq!(in_a_shell(&line, "LIBTORCH", ""), odd);
        if LOADER_PATH == "LD_LIBRARY_PATH" {
            let line = export(LOADER_PATH, OsStr::new("/t/lib"));
            assert_eq!(in_a_shell(&line, LOADER_PATH, "/before"), "/t/lib:/before");
            assert_eq!(in_a_shell(&line, LOADER_PATH, ""), "/t/lib");
        }
    }
}
