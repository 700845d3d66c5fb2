//! Starting other programs: run and check, run and read, become.

use anyhow::{Context, Result, anyhow};
use std::fmt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

/// A program that ended badly; xtask ends with the same exit code.
#[derive(Debug)]
pub(crate) struct Failed {
    what: String,
    pub(crate) code: u8,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ended with code {}", self.what, self.code)
    }
}

impl std::error::Error for Failed {}

/// Runs the program, its output going where xtask's goes.
///
/// # Errors
/// [`Failed`] with its exit code, or that it could not be started.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", words(command)))?;
    check(command, status)
}

/// Runs the program and gives what it wrote to standard output; its messages go where xtask's go.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{}`", words(command)))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the program printed, or `None` where it is absent or unhappy: for questions whose answer may be no.
pub(crate) fn ask(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Becomes the program: signals reach it directly and its exit code is ours. Comes back only if it can't be started.
pub(crate) fn become_it(command: &mut Command) -> anyhow::Error {
    let error = command.exec();
    anyhow!(error).context(format!("cannot start `{}`", words(command)))
}

/// The command as a person would type it.
pub(crate) fn words(command: &Command) -> String {
    let all = std::iter::once(command.get_program()).chain(command.get_args());
    all.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Err(Failed { what: words(command), code: u8::try_from(code).unwrap_or(1) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_the_exit_code_and_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(error.downcast_ref::<Failed>().unwrap().code, 7);
        assert!(error.to_string().contains("sh -c exit 7"), "{error}");
        let error = run(Command::new("sh").args(["-c", "kill -TERM $$"])).unwrap_err();
        assert_eq!(error.downcast_ref::<Failed>().unwrap().code, 143);
    }

    #[test]
    fn an_absent_program_is_a_no() {
        assert_eq!(ask("panal-has-no-such-program", &[]), None);
        assert_eq!(ask("sh", &["-c", "echo yes"]), Some("yes".to_owned()));
        assert_eq!(ask("sh", &["-c", "echo yes; exit 1"]), None);
    }
}
